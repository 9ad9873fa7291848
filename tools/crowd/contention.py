"""Contention: all customers want the same few seats of one flight, and go for nothing else.

All have seen the seats at the beginning, so each asks for some of them at least once, however late the first request
gets through. Contenders do not walk away from seats that others wait for: it ends when all are sold, or with the time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Self

from skyhold_local.simulation.goals import Goal
from skyhold_local.simulation.seats import SeatMap
from skyhold_local.simulation.trips import Ending, Thinking, Trip

STAMPEDE_SECONDS = 1.0
"""All contenders arrive within this time."""

_HURRY = 0.4
"""Contenders think for this share of the time that others take."""


@dataclass(frozen=True)
class Contention(Goal):
    """The seats of one flight that all customers want, and the map as all saw it at the beginning."""

    @classmethod
    def over(cls, flight_id: str, seat_map: Mapping[str, Any], many: int, seed: int) -> Self:
        """Return the contention for so many free seats that stand together in the map, or for all if there are fewer.

        The seed decides which.
        """
        free = SeatMap(seat_map).free_seats
        first = Random(f"{seed} contention").randint(0, max(0, len(free) - many))
        seats = frozenset(free[first : first + many])
        return cls(flight_id, seats, SeatMap(seat_map, only=seats))

    def arrivals(self, customers: int, seconds: float) -> Sequence[float]:  # noqa: ARG002 - the time does not matter
        """Return the arrival of each customer: all of them within a second."""
        return [STAMPEDE_SECONDS * number / customers for number in range(customers)]

    def adapt(self, trip: Trip) -> Trip:
        """Return the trip of a contender: in a hurry, without changes, and not walking away."""
        thinking = trip.thinking
        return replace(
            trip,
            changes=(),
            ending=Ending.PAY if trip.ending is Ending.WALK_AWAY else trip.ending,
            takes_alternatives=False,
            thinking=Thinking(
                looking=thinking.looking * _HURRY,
                choosing=thinking.choosing * _HURRY,
                deciding=thinking.deciding * _HURRY,
                paying=thinking.paying * _HURRY,
                resting=thinking.resting,
            ),
        )


def draw_contention(seat_maps: Mapping[str, Mapping[str, Any]], many: int, seed: int) -> Contention | None:
    """Return the contention for so many seats of one of these flights, by their ids; None if no seat is free.

    A flight that has as many left goes before one that has not.
    """
    free = {flight_id: len(SeatMap(seat_map).free_seats) for flight_id, seat_map in seat_maps.items()}
    enough = min(many, max(free.values(), default=0))
    if enough == 0:
        return None
    chosen = Random(f"{seed} flight of the contention").choice([each for each, left in free.items() if left >= enough])
    return Contention.over(chosen, seat_maps[chosen], many, seed)
