"""PostgreSQL's clock, extrapolated between two readings; every instant in a reply is by this clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic


@dataclass(frozen=True)
class LedgerClock:
    """PostgreSQL's clock: its last reading and the time that has passed since."""

    read: datetime
    read_at: float = field(default_factory=monotonic)

    def now(self) -> datetime:
        """Return PostgreSQL's time."""
        return self.read + timedelta(seconds=monotonic() - self.read_at)
