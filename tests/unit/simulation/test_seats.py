"""The choice of seats by a simulated customer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyhold_local.simulation.seats import AISLE, WINDOW, SeatMap, SeatPreference
from support.small_api import SmallApi

IN_FRONT_BY_THE_WINDOW = SeatPreference(party=2, kind=WINDOW, is_left=True, depth=0.0, comfort=0.0, luck=0.0)

WIDE_BODY: dict[str, Any] = {
    "cabins": [
        {"name": "first", "firstRow": 1, "lastRow": 2, "layout": "A DG K"},
        {"name": "economy", "firstRow": 20, "lastRow": 30, "layout": "ABC DEF HJK"},
    ],
    "seats": [
        {"id": f"{row}{letter}", "row": row, "column": letter, "cabin": cabin, "status": "available", "priceCents": cents}
        for cabin, rows, letters, cents in (("first", range(1, 3), "ADGK", 690000), ("economy", range(20, 31), "ABCDEFHJK", 61000))
        for row in rows
        for letter in letters
    ],
}  # fmt: skip


def a_map(*, free: str | None = None, rows: int = 20, **statuses: str) -> SeatMap:
    """Return a map whose seats are all available, or only `free` ones; others have the given status."""
    api = SmallApi(rows)
    if free is not None:
        api.seats = {seat: "available" if seat in free.split() else "booked" for seat in api.seats}
    api.seats |= {seat.removeprefix("seat_"): status for seat, status in statuses.items()}
    return SeatMap(api._seat_map())


@pytest.mark.parametrize(
    ("preference", "seats"),
    [
        ({}, ("1A", "1B")),
        ({"is_left": False}, ("1E", "1F")),
        ({"kind": AISLE}, ("1B", "1C")),
        ({"depth": 0.999}, ("20A", "20B")),
        ({"party": 1}, ("1A",)),
        ({"party": 3}, ("1A", "1B", "1C")),
    ],
)
def test_the_seats_are_where_and_of_the_kind_that_is_liked(preference: dict[str, Any], seats: tuple[str, ...]) -> None:
    assert a_map().choose(replace(IN_FRONT_BY_THE_WINDOW, **preference)) == seats


def test_people_sit_side_by_side_and_rather_not_over_an_aisle() -> None:
    seen = a_map(free="1C 1D 3A 7A 7B")
    assert seen.choose(replace(IN_FRONT_BY_THE_WINDOW, kind=AISLE, depth=0.2)) == ("7A", "7B")


def test_who_cannot_sit_together_takes_seats_that_are_near_each_other() -> None:
    assert a_map(free="2A 19D 18F").choose(replace(IN_FRONT_BY_THE_WINDOW, luck=0.9)) == ("18F", "19D")


def test_who_finds_fewer_seats_than_they_wanted_takes_what_is_there() -> None:
    assert a_map(free="4C").choose(replace(IN_FRONT_BY_THE_WINDOW, party=4)) == ("4C",)
    assert a_map(free="").choose(IN_FRONT_BY_THE_WINDOW) == ()


@pytest.mark.parametrize(("comfort", "cabin"), [(0.0, "economy"), (0.5, "economy"), (0.95, "first")])
def test_only_few_want_the_dearer_cabin(comfort: float, cabin: str) -> None:
    seats = SeatMap(WIDE_BODY).choose(replace(IN_FRONT_BY_THE_WINDOW, comfort=comfort))
    assert {"first" if int(seat[:-1]) < 3 else "economy" for seat in seats} == {cabin}


def test_a_flight_is_sold_out_when_nothing_is_free_and_nothing_can_come_back() -> None:
    assert a_map(free="").is_sold_out
    assert not a_map(free="", seat_3A="reserved").is_sold_out
    assert not a_map(free="3A").is_sold_out


@given(
    free=st.sets(st.sampled_from([f"{row}{letter}" for row in range(1, 6) for letter in "ABCDEF"])),
    preference=st.builds(
        SeatPreference,
        party=st.integers(1, 4),
        kind=st.sampled_from([WINDOW, AISLE]),
        is_left=st.booleans(),
        **{name: st.floats(0, 1, exclude_max=True) for name in ("depth", "comfort", "luck")},
    ),
)
def test_whatever_is_wished_only_free_seats_are_chosen_and_as_many_as_can_be(
    free: set[str], preference: SeatPreference
) -> None:
    chosen = a_map(free=" ".join(free), rows=5).choose(preference)
    assert len(set(chosen)) == len(chosen) == min(preference.party, len(free))
    assert free.issuperset(chosen)
