"""Flights: their ids, and the time until which they can be sold."""

from __future__ import annotations

import re
from datetime import datetime

from skyhold.domain.errors import FlightDeparted

_FLIGHT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def canonical_flight_id(text: str) -> str | None:
    """Return the id as the ledger and the seat locks write it, or None if no flight can have it."""
    lowered = text.lower()
    return lowered if _FLIGHT_ID.fullmatch(lowered) else None


def is_flight_id(text: str) -> bool:
    """Return whether this is a flight id in its canonical spelling."""
    return canonical_flight_id(text) == text


def require_not_departed(departs_at: datetime, *, now: datetime) -> None:
    """Refuse to sell a flight from the moment of its departure on.

    Raises:
        FlightDeparted: `now` is at or after the departure.
    """
    if now >= departs_at:
        raise FlightDeparted
