"""Seat ids, and the additions, kept seats, drops and prices of a claim."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyhold.domain.errors import InvalidRequest, InvalidSeats, SeatsUnavailable, SkyholdError
from skyhold.domain.seats import (
    SEATS_IN_A_REQUEST_LIMIT,
    Seat,
    SeatStatus,
    parse_seats,
    plan_claim,
    seat_position,
    sort_seats,
)

CABIN = [f"{row}{letter}" for row in range(1, 5) for letter in "ABC"]


def a_seat(
    name: str, status: SeatStatus = SeatStatus.AVAILABLE, *, of: str | None = None, price_cents: int = 35000
) -> Seat:
    return Seat(name, status, of, price_cents)


@st.composite
def cabins(draw: st.DrawFn) -> list[Seat]:
    """Draw the seats of a small cabin: available, ours, another order's held or sold, or not for sale."""

    def seat(name: str) -> Seat:
        status = draw(st.sampled_from(SeatStatus))
        owner = None
        if status in (SeatStatus.RESERVED, SeatStatus.BOOKED):
            owner = "other" if status is SeatStatus.BOOKED else draw(st.sampled_from(["ours", "other"]))
        return Seat(name, status, owner, draw(st.integers(1, 10_000_000)))

    return [seat(name) for name in CABIN]


wishes = st.lists(st.sampled_from([*CABIN, "9A", "99K"]), min_size=1, max_size=8, unique=True)


@given(cabins(), wishes)
def test_a_claim_sorts_every_wanted_and_every_held_seat_into_exactly_one_part(
    cabin: list[Seat], wanted: list[str]
) -> None:
    held = {seat.id for seat in cabin if seat.order_id == "ours"}
    price = {seat.id: seat.price_cents for seat in cabin}
    try:
        claim = plan_claim("ours", wanted, cabin, max_seats=9)
    except (InvalidSeats, SeatsUnavailable):
        return
    assert sorted((*claim.added, *claim.kept, *claim.dropped)) == sorted(held.union(wanted))
    assert set(claim.added) == set(wanted) - held
    assert set(claim.kept) == set(wanted) & held
    assert claim.total_cents == sum(price[name] for name in wanted)
    assert claim.is_change is (set(wanted) != held)
    assert all(part == sort_seats(part) for part in (claim.added, claim.kept, claim.dropped))


@given(cabins(), wishes)
def test_a_claim_is_refused_exactly_when_a_wanted_seat_is_not_free_and_not_ours(
    cabin: list[Seat], wanted: list[str]
) -> None:
    known = {seat.id: seat for seat in cabin}
    unknown = [name for name in wanted if name not in known]
    taken = {
        name: known[name].status.value
        for name in wanted
        if name in known and known[name].order_id != "ours" and known[name].status is not SeatStatus.AVAILABLE
    }
    before = list(cabin)
    refusal: SkyholdError | None = None
    try:
        plan_claim("ours", wanted, cabin, max_seats=9)
    except SkyholdError as no:
        refusal = no
    if unknown:
        assert isinstance(refusal, InvalidSeats)
        assert [fact["seat"] for fact in refusal.fields["seats"]] == unknown
    elif taken:
        assert isinstance(refusal, SeatsUnavailable)
        assert {fact["seat"]: fact["status"] for fact in refusal.fields["conflicts"]} == taken
        assert all(name in refusal.detail for name in taken), "every conflict is named to the person too"
    else:
        assert refusal is None
    assert cabin == before


def test_a_kept_seat_stays_at_the_price_it_was_claimed_at() -> None:
    seats = [a_seat("1A", SeatStatus.RESERVED, of="ours", price_cents=100), a_seat("1B", price_cents=999)]
    assert plan_claim("ours", ["1A", "1B"], seats, max_seats=9).total_cents == 1099


def test_an_order_never_holds_more_seats_than_its_policy_allows() -> None:
    seats = [a_seat(name) for name in CABIN]
    assert plan_claim("ours", CABIN[:9], seats, max_seats=9).added == tuple(CABIN[:9])
    with pytest.raises(InvalidSeats) as refusal:
        plan_claim("ours", CABIN[:10], seats, max_seats=9)
    assert refusal.value.fields["limit"] == 9


def test_the_same_seats_again_are_no_change() -> None:
    seats = [a_seat("1A", SeatStatus.RESERVED, of="ours")]
    assert not plan_claim("ours", ["1A"], seats, max_seats=9).is_change


@given(st.lists(st.tuples(st.integers(1, 99), st.sampled_from("ABCDEFGHJK")), unique=True))
def test_seats_are_sorted_from_nose_to_tail_and_left_to_right(places: list[tuple[int, str]]) -> None:
    names = [f"{row}{letter}" for row, letter in places]
    assert [seat_position(name) for name in sort_seats(names)] == sorted(places)


@pytest.mark.parametrize("name", ["", "0A", "01A", "100A", "1I", "1L", "1a", "1AA", " 1A", "1A\n", "A1", "\uff11A"])
def test_what_is_no_row_and_letter_is_no_seat(name: str) -> None:
    with pytest.raises(ValueError, match=r"^not a seat id$"):
        seat_position(name)
    with pytest.raises(InvalidSeats) as refusal:
        parse_seats([name])
    assert refusal.value.fields["seats"][0]["pointer"] == "/seats/0"


@pytest.mark.parametrize("value", [None, "12A", {"0": "12A"}, ("12A",), 12, True])
def test_seats_that_are_no_list_are_a_malformed_request(value: object) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        parse_seats(value)
    assert refusal.value.fields["errors"] == [{"pointer": "/seats", "detail": "must be a list of seat ids, as 12A"}]


def test_every_fault_of_a_list_of_seats_is_pointed_at() -> None:
    with pytest.raises(InvalidSeats) as refusal:
        parse_seats(["12A", 31337, "12A", "31337", None])
    facts = refusal.value.fields["seats"]
    assert [fact.get("pointer") or fact["seat"] for fact in facts] == ["/seats/1", "12A", "/seats/3", "/seats/4"]


def test_no_seats_and_far_too_many_are_refused_without_being_looked_at() -> None:
    for seats in ([], ["31337"] * (SEATS_IN_A_REQUEST_LIMIT + 1)):
        with pytest.raises(InvalidSeats) as refusal:
            parse_seats(seats)
        assert refusal.value.fields == {"seats": []}


@given(st.sets(st.sampled_from(CABIN), min_size=1))
def test_well_formed_seats_come_back_sorted(names: set[str]) -> None:
    assert parse_seats(list(names)) == sort_seats(names)
