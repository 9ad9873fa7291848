"""PostgreSQL's clock between two readings of it; every instant in a reply is by this clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic


@dataclass(frozen=True)
class LedgerClock:
    """PostgreSQL's clock, as it was read a moment ago and has gone on since."""

    read: datetime
    read_at: float = field(default_factory=monotonic)

    def now(self) -> datetime:
        """Return PostgreSQL's time."""
        return self.read + timedelta(seconds=monotonic() - self.read_at)
