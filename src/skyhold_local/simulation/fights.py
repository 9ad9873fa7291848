"""A fight: all customers want the same few seats of one flight, and go for nothing else.

Everybody has seen the seats before it begins, so each asks for some of them at least once, however late their first
request gets through. Nobody walks away with seats that others wait for: it ends when all are sold, or with the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from skyhold_local.simulation.seats import SeatMap
from skyhold_local.simulation.trips import Ending, Thinking, Trip

_HURRY = 0.4
"""Who fights thinks for this share of the time that others take."""


@dataclass(frozen=True)
class Fight:
    """The seats of one flight that everybody wants, and the map as all saw it when it began."""

    flight_id: str
    seats: frozenset[str]
    opening: SeatMap

    @classmethod
    def over(cls, flight_id: str, seat_map: Mapping[str, Any], many: int, seed: int) -> Fight:
        """Return the fight over so many free seats that stand together in the map, or all if there are fewer.

        Where they are, the seed says.
        """
        free = SeatMap(seat_map).free_seats
        first = Random(f"{seed} fight").randint(0, max(0, len(free) - many))
        seats = frozenset(free[first : first + many])
        return cls(flight_id, seats, SeatMap(seat_map, only=seats))


def draw_fight(seat_maps: Mapping[str, Mapping[str, Any]], many: int, seed: int) -> Fight | None:
    """Return a fight over so many seats of one of these flights, by their ids; None if no seat is free.

    A flight that has as many left goes before one that has not.
    """
    free = {flight_id: len(SeatMap(seat_map).free_seats) for flight_id, seat_map in seat_maps.items()}
    enough = min(many, max(free.values(), default=0))
    if enough == 0:
        return None
    flight_id = Random(f"{seed} flight of the fight").choice([each for each, left in free.items() if left >= enough])
    return Fight.over(flight_id, seat_maps[flight_id], many, seed)


def as_fighter(trip: Trip) -> Trip:
    """Return the trip as somebody makes it who wants the seats of a fight: in a hurry, and to have them."""
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
