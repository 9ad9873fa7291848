"""What PostgreSQL says of itself: that it answers, its version, and its clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from skyhold.queries.database import Database

_SERVER_VERSION = "SELECT current_setting('server_version') AS version"

_CLOCK = "SELECT clock_timestamp() AS now"


@dataclass(frozen=True)
class ClockReading:
    """PostgreSQL's clock, read between two looks at the wall clock of this machine."""

    asked_at: datetime
    now: datetime
    answered_at: datetime

    @property
    def offset(self) -> timedelta:
        """How far this machine is ahead of PostgreSQL (behind, if negative), as likely as not."""
        return self.asked_at + (self.answered_at - self.asked_at) / 2 - self.now

    @property
    def certain_offset(self) -> timedelta:
        """How far it is off at least, ahead or behind: beyond what the time that the answer took may explain."""
        return max(abs(self.offset) - abs(self.answered_at - self.asked_at) / 2, timedelta(0))


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

    async def clock(self) -> ClockReading:
        """Return PostgreSQL's clock beside that of this machine.

        Raises:
            DatabaseUnavailable: it does not answer.
        """
        asked_at = datetime.now(UTC)
        row = await self._database.row(_CLOCK)
        answered_at = datetime.now(UTC)
        return ClockReading(asked_at, row["now"] if row else answered_at, answered_at)
