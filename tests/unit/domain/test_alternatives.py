"""Alternatives that are offered for unavailable seats."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyhold.domain.alternatives import ALTERNATIVES_LIMIT, GROUP_LIMIT, find_alternatives
from skyhold.domain.seat_plans import CabinLayout, PlacedSeat, SeatPlan
from skyhold.domain.seats import SeatStatus, sort_seats

NARROW = (CabinLayout("economy", 1, 20, "ABC DEF"),)
MIXED = (CabinLayout("business", 1, 2, "A DG K"), CabinLayout("economy", 12, 16, "ABC DEF HJK"))
PRICES = {"business": 90000, "economy": 35000}


def seats_of(cabins: tuple[CabinLayout, ...], *, dear_row: int | None = None) -> list[PlacedSeat]:
    """Return all seats of these cabins, available; there is no row 13, and one row may cost more."""
    return [
        PlacedSeat(
            f"{row}{letter}",
            row,
            letter,
            cabin.name,
            SeatStatus.AVAILABLE,
            PRICES[cabin.name] + (5000 if row == dear_row else 0),
        )
        for cabin in cabins
        for row in range(cabin.first_row, cabin.last_row + 1)
        for letter in cabin.layout.replace(" ", "")
        if row != 13 or len(cabins) == 1
    ]


def a_plan(*taken: str, cabins: tuple[CabinLayout, ...] = NARROW, dear_row: int | None = None) -> SeatPlan:
    return SeatPlan(
        [
            seat._replace(status=SeatStatus.BOOKED) if seat.id in taken else seat
            for seat in seats_of(cabins, dear_row=dear_row)
        ],
        cabins,
    )


def offered(plan: SeatPlan, wanted: str, *, gone: str, own: str = "") -> list[str]:
    found = find_alternatives(plan, wanted.split(), own=dict.fromkeys(own.split(), 35000), conflicts=gone.split())
    return [" ".join(alternative.seats) for alternative in found]


@st.composite
def flights(draw: st.DrawFn) -> tuple[list[PlacedSeat], tuple[CabinLayout, ...]]:
    cabins = draw(st.sampled_from([MIXED, NARROW[:1]]))
    statuses = st.sampled_from([SeatStatus.AVAILABLE, *SeatStatus])
    seats = seats_of(cabins, dear_row=draw(st.sampled_from([None, 14])))
    drawn = draw(st.lists(statuses, min_size=len(seats), max_size=len(seats)))
    return [seat._replace(status=status) for seat, status in zip(seats, drawn, strict=True)], cabins


@given(flights(), st.data())
def test_whatever_is_offered_is_whole_free_new_and_priced(
    flight: tuple[list[PlacedSeat], tuple[CabinLayout, ...]], data: st.DataObject
) -> None:
    seats, cabins = flight
    seat_of = {seat.id: seat for seat in seats}
    some = st.lists(st.sampled_from(sorted(seat_of)), max_size=9, unique=True)
    wanted = data.draw(some.filter(bool), label="wanted")
    own = {name: 1000 + number for number, name in enumerate(data.draw(some, label="own"))}
    gone = data.draw(st.lists(st.sampled_from(wanted), unique=True), label="gone")
    found = find_alternatives(SeatPlan(seats, cabins), wanted, own=own, conflicts=gone)
    available = {seat.id for seat in seats if seat.status is SeatStatus.AVAILABLE}
    free = available.union(own, wanted if gone else []).difference(gone)
    sets = [frozenset(alternative.seats) for alternative in found]
    for alternative in found:
        assert len(set(alternative.seats)) == len(wanted)
        assert free.issuperset(alternative.seats)
        assert alternative.seats == sort_seats(alternative.seats)
        assert alternative.total_cents == sum(own.get(name, seat_of[name].price_cents) for name in alternative.seats)
    assert len(set(sets)) == len(sets) <= ALTERNATIVES_LIMIT
    assert frozenset(wanted) not in sets
    assert frozenset(own) not in sets
    shuffled = data.draw(st.permutations(seats), label="shuffled")
    again = find_alternatives(SeatPlan(shuffled, cabins), wanted[::-1], own=own, conflicts=gone[::-1])
    assert again == found, "the same question has the same answer in whatever order it is put"


@given(flights(), st.data())
def test_a_customer_hears_of_something_exactly_when_enough_seats_are_free(
    flight: tuple[list[PlacedSeat], tuple[CabinLayout, ...]], data: st.DataObject
) -> None:
    seats, cabins = flight
    names = [seat.id for seat in seats]
    wanted = data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=9, unique=True), label="wanted")
    gone = data.draw(st.lists(st.sampled_from(wanted), min_size=1, unique=True), label="gone")
    free = {seat.id for seat in seats if seat.status is SeatStatus.AVAILABLE}.union(wanted).difference(gone)
    found = find_alternatives(SeatPlan(seats, cabins), wanted, conflicts=gone)
    assert bool(found) is (len(free) >= len(wanted))


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        ("", ["14C", "14A", "15B"]),
        ("14A", ["14C", "15B", "13B"]),
        ("14A 14C", ["15B", "13B", "14D"]),
        ("14A 14C 15B 13B", ["14D", "14E", "15C"]),
    ],
)
def test_one_seat_is_replaced_by_the_nearest_and_of_two_as_near_by_one_of_its_kind(
    taken: str, expected: list[str]
) -> None:
    assert offered(a_plan(*taken.split()), "14B", gone="14B") == expected


def test_the_same_price_goes_before_the_nearer_place_and_the_same_cabin_before_both() -> None:
    plan = a_plan("14B", cabins=MIXED, dear_row=14)
    assert offered(plan, "15B", gone="15B") == ["15C", "15A", "16B"]
    economy = [seat.id for seat in seats_of(MIXED) if seat.cabin == "economy"]
    assert offered(a_plan(*set(economy) - {"12A"}, cabins=MIXED), "16K", gone="16K")[:2] == ["12A", "2K"]
    assert offered(a_plan(*set(economy) - {"14A", "12K"}, cabins=MIXED, dear_row=14), "15A", gone="15A")[:2] == [
        "12K",
        "14A",
    ]


def test_another_part_of_the_same_cabin_goes_before_a_nearer_cabin() -> None:
    cabins = (
        CabinLayout("economy", 1, 1, "AB"),
        CabinLayout("business", 2, 2, "AB"),
        CabinLayout("economy", 3, 3, "AB"),
    )
    assert offered(a_plan("3A", cabins=cabins), "3B", gone="3B") == ["1B", "1A", "2B"]
    assert offered(a_plan(cabins=cabins), "3A 3B", gone="3A 3B") == ["1A 1B", "2A 2B"]


def test_a_row_that_does_not_exist_is_no_distance() -> None:
    assert offered(a_plan("14A", "14C", cabins=MIXED), "14B", gone="14B") == ["15B", "12B", "14D"]


def test_what_is_left_of_a_group_is_kept_while_its_row_has_a_seat_beside_it() -> None:
    assert offered(a_plan(), "14B 14C", gone="14B")[0] == "14C 14D"
    assert offered(a_plan("14D"), "14B 14C", gone="14B") == ["15B 15C", "13B 13C", "15A 15B"]


def test_blocks_without_an_aisle_go_before_blocks_across_it_and_those_before_split_ones() -> None:
    no_pair_but = {seat.id for seat in seats_of(NARROW)} - {"1A", "1B", "13C", "13D", "14F", "15F"}
    assert offered(a_plan(*no_pair_but), "14A 14B", gone="14A 14B") == ["1A 1B", "13C 13D", "14F 15F"]


def test_a_group_larger_than_a_row_is_offered_neighbouring_rows() -> None:
    row = "14A 14B 14C 14D 14E 14F"
    found = offered(a_plan(), f"{row} 15A", gone="15A")
    assert all(row in " ".join(sort_seats(each.split())) for each in found)
    assert len(found) == 3
    for each in found:
        (extra,) = set(each.split()) - set(row.split())
        assert extra[:-1] in {"13", "15"}


def test_customers_who_sat_apart_get_the_nearest_seat_for_the_one_that_is_gone() -> None:
    assert offered(a_plan(), "12A 18F", gone="18F")[0] == "12A 18E"


def test_when_nobody_can_sit_together_each_lost_seat_is_replaced_by_the_nearest() -> None:
    all_but = {seat.id for seat in seats_of(NARROW)} - {"2A", "9F", "14A"}
    assert offered(a_plan(*all_but), "14A 14B", gone="14B") == ["9F 14A"]


def test_seats_of_the_asking_order_are_free_for_it_but_no_alternative_as_they_are() -> None:
    all_but = {seat.id for seat in seats_of(NARROW)} - {"15A"}
    assert offered(a_plan(*all_but), "15A 15B", gone="15B", own="14A") == ["14A 15A"]
    assert offered(a_plan(*all_but), "15B", gone="15B", own="14A") == ["15A"]


def test_what_was_just_learnt_is_believed_before_the_plan() -> None:
    assert "14C" not in offered(a_plan(), "14B 14C", gone="14B 14C")[0].split()
    assert offered(a_plan("14C"), "14B 14C", gone="14B") == ["14C 14D", "15B 15C", "14D 14E"]


def test_for_a_crowd_nothing_is_looked_for() -> None:
    names = [seat.id for seat in seats_of(NARROW)]
    assert find_alternatives(a_plan(), names[:GROUP_LIMIT], conflicts=names[:1])
    assert not find_alternatives(a_plan(), names[: GROUP_LIMIT + 1], conflicts=names[:1])


@pytest.mark.parametrize("wanted", ["", "99A", "14B 99A"])
def test_seats_that_do_not_exist_have_no_alternative(wanted: str) -> None:
    assert offered(a_plan(), wanted, gone=wanted) == []


def test_a_seat_that_no_cabin_knows_is_not_offered() -> None:
    stray = PlacedSeat("21A", 21, "A", "economy", SeatStatus.AVAILABLE, 1)
    assert not find_alternatives(SeatPlan([stray], ()), ["21A"])
    plan = SeatPlan([*seats_of(NARROW), stray], NARROW)
    assert all("21A" not in each.seats for each in find_alternatives(plan, ["20A"], conflicts=["20A"]))
