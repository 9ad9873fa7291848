"""PostgreSQL's version and clock; both prove that it answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from skyhold.queries.database import Database

_SERVER_VERSION = "SELECT current_setting('server_version') AS version"

_CLOCK = "SELECT clock_timestamp() AS now"


@dataclass(frozen=True)
class ClockReading:
    """PostgreSQL's clock, read between two readings of this machine's wall clock."""

    asked_at: datetime
    now: datetime
    answered_at: datetime

    @property
    def offset(self) -> timedelta:
        """Estimated time by which this machine is ahead of PostgreSQL; negative if it is behind."""
        return self.asked_at + (self.answered_at - self.asked_at) / 2 - self.now

    @property
    def certain_offset(self) -> timedelta:
        """Minimum of the true offset, without its sign: the part that the round-trip time cannot explain."""
        return max(abs(self.offset) - abs(self.answered_at - self.asked_at) / 2, timedelta(0))


class ServerQueries:
    """Reads version and clock of the server."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def server_version(self) -> str:
        """Return PostgreSQL's version, which needs no table and no right.

        Raises:
            DatabaseUnavailable: it does not answer.
        """
        row = await self._database.row(_SERVER_VERSION)
        return str(row["version"]) if row else ""

    async def clock(self) -> ClockReading:
        """Return PostgreSQL's clock together with this machine's.

        Raises:
            DatabaseUnavailable: it does not answer.
        """
        asked_at = datetime.now(UTC)
        row = await self._database.row(_CLOCK)
        answered_at = datetime.now(UTC)
        return ClockReading(asked_at, row["now"] if row else answered_at, answered_at)
