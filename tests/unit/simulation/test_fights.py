"""Fights: few seats, many customers, and nobody who goes elsewhere."""

from __future__ import annotations

from random import Random

from skyhold_local.simulation.fights import Fight, as_fighter, draw_fight
from skyhold_local.simulation.trips import Ending, plan_trips
from support.small_api import FLIGHT, SmallApi


def a_map(free: str | None = None, rows: int = 4) -> dict[str, object]:
    small = SmallApi(rows)
    if free is not None:
        small.seats = {seat: "available" if seat in free.split() else "booked" for seat in small.seats}
    return small._seat_map()


def test_the_seats_stand_together_and_a_seed_gives_the_same_again() -> None:
    fights = [Fight.over(FLIGHT, a_map(), 5, seed) for seed in range(40)]
    assert {len(fight.seats) for fight in fights} == {5}
    assert fights[3].seats == Fight.over(FLIGHT, a_map(), 5, 3).seats
    assert len({fight.seats for fight in fights}) > 5
    order = [f"{row}{letter}" for row in range(1, 5) for letter in "ABCDEF"]
    for fight in fights:
        places = sorted(order.index(seat) for seat in fight.seats)
        assert places == list(range(places[0], places[0] + 5))
        assert set(fight.opening.free_seats) == fight.seats


def test_only_free_seats_are_fought_for_and_all_there_are_if_they_are_few() -> None:
    assert Fight.over(FLIGHT, a_map("1B 3C"), 5, 1).seats == {"1B", "3C"}


def test_a_flight_with_seats_enough_goes_first_and_without_a_seat_there_is_no_fight() -> None:
    maps = {"few": a_map("1A"), "many": a_map(), "none": a_map("")}
    for seed in range(20):
        fight = draw_fight(maps, 6, seed)
        assert fight is not None
        assert fight.flight_id == "many"
    assert draw_fight({"none": a_map("")}, 6, 1) is None
    assert draw_fight({}, 6, 1) is None


def test_nobody_who_fights_walks_away_from_seats_that_others_wait_for() -> None:
    trips = plan_trips(Random("1"), [FLIGHT])
    for trip in (as_fighter(next(trips)) for _ in range(200)):
        assert trip.ending is not Ending.WALK_AWAY
        assert (trip.changes, trip.takes_alternatives) == ((), False)
