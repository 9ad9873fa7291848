"""Keyset pagination of lists that are sorted by an instant and an id."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Position:
    """A position in a list: just after the entry with this instant and this id."""

    at: datetime
    id: str
