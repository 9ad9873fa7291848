"""The id of the Skyhold that a ledger belongs to."""

from __future__ import annotations

import structlog

from skyhold.domain.errors import DatabaseUnavailable
from skyhold.queries.database import Database

_ID = "SELECT id FROM instance"

_log = structlog.get_logger(__name__)


class InstanceQueries:
    """Reads the id that the migration inserted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read_id(self) -> str:
        """Return the id, as 32 hexadecimal digits.

        Raises:
            DatabaseUnavailable: PostgreSQL is unavailable, or the ledger has not been migrated or its id was deleted.
        """
        row = await self._database.row(_ID)
        if row is None:
            _log.error("table instance has no row, so guests cannot be identified; INSERT INTO instance DEFAULT VALUES")
            raise DatabaseUnavailable
        return str(row["id"].hex)
