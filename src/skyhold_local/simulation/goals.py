"""The goal of a crowd: the seats that its customers want, by default any seat of its flights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from skyhold_local.simulation.seats import SeatMap
from skyhold_local.simulation.trips import Trip

ARRIVAL_SHARE = 0.4
LONGEST_ARRIVAL_SECONDS = 20.0
"""All customers have arrived after this share of the time, or after this time if it is shorter; most arrive early."""


@dataclass(frozen=True)
class Goal:
    """Any seat; a tool may narrow it to `seats` of one flight, with the map that all customers see at the beginning."""

    flight_id: str | None = None
    seats: frozenset[str] = frozenset()
    opening: SeatMap | None = None

    @property
    def is_contended(self) -> bool:
        """True if all customers want the same few seats: each of them tries at least once, even after the end."""
        return bool(self.seats)

    def arrivals(self, customers: int, seconds: float) -> Sequence[float]:
        """Return the arrival of each customer, in seconds from the beginning."""
        window = min(LONGEST_ARRIVAL_SECONDS, seconds * ARRIVAL_SHARE)
        return [window * (number / customers) ** 2 for number in range(customers)]

    def adapt(self, trip: Trip) -> Trip:
        """Return the trip as a customer with this goal makes it."""
        return trip
