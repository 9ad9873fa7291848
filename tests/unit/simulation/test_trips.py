"""Decisions of simulated customers: the same for the same seed, and of every kind."""

from __future__ import annotations

from itertools import islice
from random import Random

from skyhold_local.simulation.trips import APPROVED_CODE, DECLINED_CODE, Ending, Trip, plan_trips

FLIGHTS = ("flight-1", "flight-2", "flight-3")


def trips(seed: str, many: int) -> list[Trip]:
    return list(islice(plan_trips(Random(seed), FLIGHTS), many))


def test_a_seed_gives_the_same_decisions_again_and_another_one_others() -> None:
    assert trips("7 1", 50) == trips("7 1", 50)
    assert trips("7 1", 50) != trips("7 2", 50)


def test_among_many_trips_is_everything_that_customers_do() -> None:
    planned = trips("1 1", 2000)
    assert {trip.ending for trip in planned} == set(Ending)
    assert {trip.flight_id for trip in planned} == set(FLIGHTS)
    assert {trip.preference.party for trip in planned} == {1, 2, 3, 4}
    assert {len(trip.changes) for trip in planned} == {0, 1, 2}
    assert sum(trip.ending is Ending.PAY for trip in planned) > 1000


def test_people_who_change_their_minds_stay_as_many_as_they_are() -> None:
    for trip in trips("2 1", 200):
        assert {preference.party for preference in trip.changes} <= {trip.preference.party}


def test_the_codes_are_well_formed_and_only_who_means_to_be_declined_is() -> None:
    codes = [trip.payment_code for trip in trips("3 1", 2000)]
    assert all(len(code) == 5 and code.isdecimal() for code in codes)
    assert DECLINED_CODE not in codes
    assert 400 < codes.count(APPROVED_CODE) < 800


def test_a_code_is_in_no_text_of_a_trip() -> None:
    for trip in trips("4 1", 20):
        assert trip.payment_code not in repr(trip)
