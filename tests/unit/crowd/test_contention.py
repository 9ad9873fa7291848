"""Contention: many customers claim the same few seats, and none leaves."""

from __future__ import annotations

from random import Random

from skyhold_local.simulation.trips import Ending, plan_trips
from support.small_api import FLIGHT, SmallApi
from tools.crowd.contention import Contention, draw_contention


def a_map(free: str | None = None, rows: int = 4) -> dict[str, object]:
    small = SmallApi(rows)
    if free is not None:
        small.seats = {seat: "available" if seat in free.split() else "booked" for seat in small.seats}
    return small._seat_map()


def test_the_seats_stand_together_and_a_seed_gives_the_same_again() -> None:
    drawn = [Contention.over(FLIGHT, a_map(), 5, seed) for seed in range(40)]
    assert drawn[3].seats == Contention.over(FLIGHT, a_map(), 5, 3).seats
    assert len({each.seats for each in drawn}) > 5
    order = [f"{row}{letter}" for row in range(1, 5) for letter in "ABCDEF"]
    for each in drawn:
        places = sorted(order.index(seat) for seat in each.seats)
        assert places == list(range(places[0], places[0] + 5))
        assert each.opening is not None
        assert set(each.opening.free_seats) == each.seats


def test_a_flight_with_seats_enough_goes_first_and_without_a_free_seat_there_is_no_contention() -> None:
    maps = {"few": a_map("1A"), "many": a_map(), "none": a_map("")}
    for seed in range(20):
        drawn = draw_contention(maps, 6, seed)
        assert drawn is not None
        assert drawn.flight_id == "many"
    assert draw_contention({"none": a_map("")}, 6, 1) is None


def test_a_contender_never_walks_away_from_seats_that_others_wait_for() -> None:
    contention = Contention.over(FLIGHT, a_map(), 5, 1)
    trips = plan_trips(Random("1"), [FLIGHT])
    for trip in (contention.adapt(next(trips)) for _ in range(200)):
        assert trip.ending is not Ending.WALK_AWAY
        assert (trip.changes, trip.takes_alternatives) == ((), False)
