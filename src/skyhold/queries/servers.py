"""What PostgreSQL says of itself: that it answers, which version it is, and how old the ledger's schema is."""

from __future__ import annotations

from skyhold.queries.database import Database

_SERVER_VERSION = "SELECT current_setting('server_version') AS version"

_HAS_SCHEMA = "SELECT to_regclass('alembic_version') IS NOT NULL AS is_there"

_SCHEMA_VERSION = "SELECT version_num FROM alembic_version LIMIT 1"


class ServerQueries:
    """Reads what is known of the server."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def server_version(self) -> str:
        """Return PostgreSQL's version, which needs no more than that it answers.

        Raises:
            DatabaseUnavailable: it does not.
        """
        row = await self._database.row(_SERVER_VERSION)
        return str(row["version"]) if row else ""

    async def has_schema(self) -> bool:
        """Say whether the ledger was ever migrated.

        Raises:
            DatabaseUnavailable: PostgreSQL does not answer.
        """
        row = await self._database.row(_HAS_SCHEMA)
        return bool(row and row["is_there"])

    async def schema_version(self) -> str | None:
        """Return the version that the ledger is at; only of one that was migrated.

        Raises:
            DatabaseUnavailable: PostgreSQL does not answer, or the ledger was never migrated.
        """
        row = await self._database.row(_SCHEMA_VERSION)
        return str(row["version_num"]) if row else None
