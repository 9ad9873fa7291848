"""Which Skyhold the ledger is that of."""

from __future__ import annotations

import structlog

from skyhold.domain.errors import DatabaseUnavailable
from skyhold.queries.database import Database

_ID = "SELECT id FROM instance"

_log = structlog.get_logger(__name__)


class InstanceQueries:
    """Reads the id that was made with the ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read_id(self) -> str:
        """Return the id, as 32 hexadecimal digits.

        Raises:
            DatabaseUnavailable: PostgreSQL does not answer, or the ledger has not been migrated or has lost its id.
        """
        row = await self._database.row(_ID)
        if row is None:
            _log.error("the ledger has lost its id, so guests cannot be known: INSERT INTO instance DEFAULT VALUES")
            raise DatabaseUnavailable
        return str(row["id"].hex)
