"""Seats that are suggested to people who want to sit together."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyhold.domain.alternatives import PARTY_LIMIT, SUGGESTIONS_LIMIT, find_suggestions
from skyhold.domain.seat_plans import CabinLayout, PlacedSeat, SeatPlan
from skyhold.domain.seats import SeatStatus
from skyhold.stores.demo_flights import DEMO_FLIGHTS


def a_plan(number: str = "FL101", *, free: Iterable[str] | None = None) -> SeatPlan:
    """Return the plan of a demo flight, all of it free or only these seats."""
    flight = next(flight for flight in DEMO_FLIGHTS if flight.flight_number == number)
    available = None if free is None else set(free)
    seats = [
        PlacedSeat(
            f"{row}{letter}",
            row,
            letter,
            cabin.name,
            SeatStatus.AVAILABLE if available is None or f"{row}{letter}" in available else SeatStatus.BOOKED,
            cabin.prices.get(row, cabin.price_cents),
            row in cabin.exit_rows,
        )
        for cabin in flight.cabins
        for row in range(cabin.first_row, cabin.last_row + 1)
        for letter in cabin.layout.replace(" ", "")
    ]
    return SeatPlan(
        seats, [CabinLayout(cabin.name, cabin.first_row, cabin.last_row, cabin.layout) for cabin in flight.cabins]
    )


def best(plan: SeatPlan, count: int, *, near: str | None = None) -> list[str]:
    """Return the first suggestion."""
    found = find_suggestions(plan, count, near=near)
    return list(found[0].seats) if found else []


@pytest.mark.parametrize(
    ("count", "seats"),
    [
        (1, "1A"),
        (2, "1A 1B"),
        (3, "1A 1B 1C"),
        (4, "1B 1C 1D 1E"),
        (5, "1A 1B 1C 1D 1E"),
        (6, "1A 1B 1C 1D 1E 1F"),
    ],
)
def test_people_sit_side_by_side_forward_and_by_a_window(count: int, seats: str) -> None:
    assert best(a_plan(), count) == seats.split()


@pytest.mark.parametrize("count", [7, 8, 9])
def test_a_group_too_big_for_a_row_sits_in_neighbouring_rows_at_the_front(count: int) -> None:
    plan = a_plan()
    seats = best(plan, count)
    assert len(seats) == count
    assert plan.are_together([plan.numbers[seat] for seat in seats])
    assert {int(seat[:-1]) for seat in seats} <= {1, 2, 3}


def test_a_block_goes_before_an_aisle_and_an_aisle_before_two_rows() -> None:
    across, rows, block = ["3C", "3D"], ["5A", "6A"], ["19E", "19F"]
    assert best(a_plan(free=[*across, *rows, *block]), 2) == block
    assert best(a_plan(free=[*across, *rows]), 2) == across
    assert best(a_plan(free=rows), 2) == rows


def test_a_group_sits_behind_itself_before_it_sits_apart() -> None:
    together, apart = ["8A", "8B", "9A", "9B"], ["3A", "3B", "12E", "12F"]
    assert best(a_plan(free=[*apart, *together]), 4) == together


def test_seats_that_are_nowhere_together_are_as_close_as_can_be() -> None:
    assert best(a_plan(free=["1A", "10A", "12A", "14C", "20F"]), 3) == ["10A", "12A", "14C"]


@pytest.mark.parametrize("count", range(1, 10))
def test_too_few_free_seats_are_none(count: int) -> None:
    scattered = ["1A", "2C", "4F", "7B", "9E", "11A", "14C", "17F", "20B"]
    assert best(a_plan(free=scattered[: count - 1]), count) == []
    assert len(best(a_plan(free=scattered[:count]), count)) == count


def test_the_cheapest_cabin_and_price_come_first() -> None:
    assert best(a_plan("SK900"), 2) == ["34A", "34B"]
    assert best(a_plan("SK900", free=["1D", "1G", "6D", "6G", "20A", "20B"]), 2) == ["20A", "20B"]
    assert best(a_plan("SK900", free=["1D", "1G", "6D", "6G"]), 2) == ["6D", "6G"]
    # The cheap cabin even if the seats are apart: a neighbour is not worth five times the price.
    assert best(a_plan("SK900", free=["1D", "1G", "20A", "40K"]), 2) == ["20A", "40K"]
    # Where no cabin has enough, the cabins do not matter.
    assert best(a_plan("SK900", free=["1D", "6D", "20A"]), 3) == ["1D", "6D", "20A"]


def test_near_a_seat_are_the_closest_ones_of_its_price() -> None:
    assert best(a_plan("SK900"), 2, near="6A") == ["6D", "6G"]
    assert best(a_plan("SK900"), 3, near="25E") == ["25D", "25E", "25F"]
    assert best(a_plan(), 1, near="12C") == ["12C"]
    assert "12C" not in best(a_plan(free=["12B", "14E"]), 1, near="12C"), "near a seat that is taken"


def test_no_single_seat_is_left_over_where_it_can_be_avoided() -> None:
    assert best(a_plan(free=["1A", "1B", "1C", "2D", "2E"]), 2) == ["1A", "1B"]
    assert best(a_plan(free=["1D", "1E", "1F", "2A", "2B"]), 2) == ["2A", "2B"]


def test_seats_of_the_asking_order_count_as_free_at_their_own_prices() -> None:
    plan = a_plan(free=["7A"])
    (found,) = find_suggestions(plan, 2, own={"7B": 100})
    assert found.seats == ("7A", "7B")
    assert found.total_cents == 100 + plan.places[plan.numbers["7A"]].seat.price_cents


def test_only_seats_that_match_are_suggested() -> None:
    plan = a_plan("SK900")
    exits = plan.matching(is_exit_row=True, prices=(), kinds=())
    cheap = plan.matching(is_exit_row=False, prices=(61000,), kinds=())
    window = plan.matching(is_exit_row=False, prices=(), kinds=("w",))
    assert {seat[:-1] for found in find_suggestions(plan, 2, among=exits) for seat in found.seats} == {"33"}
    assert {found.total_cents for found in find_suggestions(plan, 3, among=cheap)} == {3 * 61000}
    assert {seat[-1] for found in find_suggestions(plan, 1, among=window) for seat in found.seats} <= {"A", "K"}


@st.composite
def _occupied(draw: st.DrawFn) -> SeatPlan:
    whole = a_plan(draw(st.sampled_from(["FL101", "SK900"])))
    names = [place.seat.id for place in whole.places]
    number = "FL101" if len(names) < 200 else "SK900"
    rate = draw(st.sampled_from([0.05, 0.3, 0.9]))
    luck = draw(st.randoms(use_true_random=False))
    return a_plan(number, free=[name for name in names if luck.random() < rate])


@given(_occupied(), st.integers(1, PARTY_LIMIT), st.data())
def test_whatever_is_suggested_is_whole_free_priced_and_disjoint(
    plan: SeatPlan, count: int, data: st.DataObject
) -> None:
    near = data.draw(st.none() | st.sampled_from(sorted(plan.numbers)), label="near")
    found = find_suggestions(plan, count, near=near)
    assert len(found) <= SUGGESTIONS_LIMIT
    assert bool(found) == (plan.free.bit_count() >= count)
    seats = [seat for each in found for seat in each.seats]
    assert len(seats) == len(set(seats)) == count * len(found)
    for each in found:
        places = [plan.places[plan.numbers[seat]] for seat in each.seats]
        assert {place.seat.status for place in places} == {SeatStatus.AVAILABLE}
        assert each.total_cents == sum(place.seat.price_cents for place in places)
