"""Flights: what identifies one, and until when it can be sold."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from skyhold.domain.errors import FlightDeparted

_FLIGHT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Flight:
    """One departure, as far as a claim of seats needs to know it."""

    id: str
    departs_at: datetime
    currency: str


def canonical_flight_id(text: str) -> str | None:
    """Return the id as the ledger and the seat locks spell it, or None if no flight can have it."""
    lowered = text.lower()
    return lowered if _FLIGHT_ID.fullmatch(lowered) else None


def require_not_departed(flight: Flight, *, now: datetime) -> None:
    """Refuse to sell a flight from the moment of its departure on.

    Raises:
        FlightDeparted: `now` is at or after the departure.
    """
    if now >= flight.departs_at:
        raise FlightDeparted
