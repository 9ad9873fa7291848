"""Contention: all customers want the same few seats of one flight, and no others.

They get the seat map at the beginning, so each tries to hold some of the seats at least once, however late its first
request gets through. Contenders do not walk away from a hold. The crowd ends when all seats are sold, or with the time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Self

from skyhold_local.simulation.goals import Goal
from skyhold_local.simulation.seats import SeatMap
from skyhold_local.simulation.trips import Ending, Thinking, Trip

ARRIVAL_SECONDS = 1.0
"""All contenders arrive within this time."""

_THINKING_SHARE = 0.4
"""Contenders think for this share of the time that others take."""


@dataclass(frozen=True)
class Contention(Goal):
    """The seats of one flight that all customers want, and their map at the beginning."""

    @classmethod
    def over(cls, flight_id: str, seat_map: Mapping[str, Any], seat_count: int, seed: int) -> Self:
        """Return the contention for `seat_count` free seats that follow each other by id, or for all if they are fewer.

        The seed decides which ones.
        """
        free = SeatMap(seat_map).free_seats
        first = Random(f"{seed} contention").randint(0, max(0, len(free) - seat_count))
        seats = frozenset(free[first : first + seat_count])
        return cls(flight_id, seats, SeatMap(seat_map, only=seats))

    def arrivals(self, customers: int, seconds: float) -> Sequence[float]:  # noqa: ARG002 - the time does not matter
        """Return the arrival of each customer: all of them within a second."""
        return [ARRIVAL_SECONDS * number / customers for number in range(customers)]

    def adapt(self, trip: Trip) -> Trip:
        """Return the trip of a contender: in a hurry, without changes, and not walking away."""
        thinking = trip.thinking
        return replace(
            trip,
            changes=(),
            ending=Ending.PAY if trip.ending is Ending.WALK_AWAY else trip.ending,
            takes_alternatives=False,
            thinking=Thinking(
                looking=thinking.looking * _THINKING_SHARE,
                choosing=thinking.choosing * _THINKING_SHARE,
                deciding=thinking.deciding * _THINKING_SHARE,
                paying=thinking.paying * _THINKING_SHARE,
                resting=thinking.resting,
            ),
        )


def draw_contention(seat_maps: Mapping[str, Mapping[str, Any]], seat_count: int, seed: int) -> Contention | None:
    """Return the contention for `seat_count` seats of one of these flights (maps by id); None if no seat is free.

    Flights with fewer free seats are chosen only if none has enough.
    """
    free = {flight_id: len(SeatMap(seat_map).free_seats) for flight_id, seat_map in seat_maps.items()}
    enough = min(seat_count, max(free.values(), default=0))
    if enough == 0:
        return None
    chosen = Random(f"{seed} flight of the contention").choice([each for each, left in free.items() if left >= enough])
    return Contention.over(chosen, seat_maps[chosen], seat_count, seed)
