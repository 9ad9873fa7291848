"""Long lists, read a page at a time: sorted by an instant and an id, each page begins where the one before ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Position:
    """A place in a list: just after the one with this instant and this id."""

    at: datetime
    id: str
