"""Random walks of orders through the rules alone: claims, holds and statuses, beside a model of sets and seconds.

The book below combines the rules as the stores do. The model is independent of them: it has one owner a seat, the
second at which a hold ends, and the transitions of docs/rules.md#order-status.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant

from skyhold.domain.errors import SkyholdError
from skyhold.domain.holds import Hold, renew_hold, require_not_lapsed, start_hold
from skyhold.domain.orders import FailureCode, OrderStatus, Policy, can_become, require_changes_left, require_version
from skyhold.domain.seats import Claim, Seat, SeatStatus, plan_claim
from support.models import SHRINK_SECONDS, Draw, Walker, walk, walk_at_random

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOLD_SECONDS, LIFETIME_SECONDS, DEPARTURE_SECONDS = 100, 170, 1200
POLICY = Policy(hold_seconds=HOLD_SECONDS, max_lifetime_seconds=LIFETIME_SECONDS, max_seats=3, max_changes=2)

SEATS = ("1A", "1B", "1C", "2A", "2B", "10A")
BLOCKED, UNKNOWN = "2C", "9K"

LEGAL = {
    "CREATED": {"SEATS_RESERVED", "FAILED"},
    "SEATS_RESERVED": {"PAYMENT_PENDING", "EXPIRED", "FAILED"},
    "PAYMENT_PENDING": {"PAYMENT_PROCESSING", "FAILED"},
    "PAYMENT_PROCESSING": {"CONFIRMED", "FAILED"},
}
ENDS = {"FAILED", "EXPIRED"}


@dataclass
class Page:
    """An order according to the rules."""

    hold: Hold
    status: OrderStatus = OrderStatus.CREATED
    version: int = 0
    changes: int = 0
    total_cents: int = 0


@dataclass
class Modelled:
    """The same order according to the model: seconds since noon, and the price of each seat at its claim."""

    ends: int
    cap: int
    status: str = "CREATED"
    version: int = 1
    changes: int = 0
    prices: dict[str, int] = field(default_factory=dict)


wishes = st.lists(st.sampled_from([*SEATS, *SEATS, *SEATS, BLOCKED, UNKNOWN]), unique=True, min_size=1, max_size=4).map(
    tuple
)

waits = st.sampled_from([0, 0, 0, 0, 0, 1, 1, 10, 40, 99, 100])


class OrderWalk(Walker):
    """Orders of one small flight."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.seats = {name: Seat(name, SeatStatus.AVAILABLE, None, 100) for name in SEATS}
        self.seats[BLOCKED] = Seat(BLOCKED, SeatStatus.BLOCKED, None, 100)
        self.pages: dict[str, Page] = {}
        self.model: dict[str, Modelled] = {}
        self.price = dict.fromkeys(SEATS, 100)

    # -- The model ----------------------------------------------------------------------------------------------------

    def owner(self, seat: str) -> str | None:
        owners = [name for name, order in self.model.items() if order.status not in ENDS and seat in order.prices]
        assert len(owners) <= 1, f"the model sold {seat} twice"
        return owners[0] if owners else None

    def expected_refusal(self, name: str, wanted: tuple[str, ...]) -> str | None:
        if len(wanted) > 3 or UNKNOWN in wanted:
            return "InvalidSeats"
        if BLOCKED in wanted or any(self.owner(seat) not in {None, name} for seat in wanted):
            return "SeatsUnavailable"
        return None

    def some_order(self, draw: Draw, *statuses: str) -> str:
        names = [name for name, order in self.model.items() if not statuses or order.status in statuses]
        return draw(st.sampled_from(names))

    def has(self, *statuses: str) -> bool:
        return any(order.status in statuses for order in self.model.values())

    # -- Steps --------------------------------------------------------------------------------------------------------

    def possible_steps(self) -> list[str]:
        steps = ["change_the_price"]
        if self.now < DEPARTURE_SECONDS:
            steps += ["ask_for_a_hold"] * 2
        if self.has("SEATS_RESERVED"):
            steps += ["ask_for_a_change"] * 5
        if self.has(*LEGAL):
            steps += ["go_a_legal_way"] * 2
        if self.has("CONFIRMED"):
            steps += ["pay_back"]
        if self.model:
            steps += ["try_any_way"]
        return steps

    def change_the_price(self, draw: Draw) -> None:
        seat, cents = draw(st.sampled_from(SEATS)), draw(st.integers(1, 999))
        self.price[seat] = cents
        owner = self.owner(seat)
        self.seats[seat] = replace(self.seats[seat], price_cents=self.model[owner].prices[seat] if owner else cents)

    def ask_for_a_hold(self, draw: Draw) -> None:
        wanted = draw(wishes)
        self.now = min(self.now + draw(waits), DEPARTURE_SECONDS - 1)
        name = f"order-{len(self.pages)}"
        hold = start_hold(
            now=self.clock, hold_time=POLICY.hold_time, max_lifetime=POLICY.max_lifetime, departs_at=self.departure
        )
        page = self.pages[name] = Page(hold)
        cap = min(self.now + LIFETIME_SECONDS, DEPARTURE_SECONDS)
        order = self.model[name] = Modelled(min(self.now + HOLD_SECONDS, cap), cap)
        expected = self.expected_refusal(name, wanted)
        refusal = self.claim(name, wanted)
        assert refusal == expected
        page.status = OrderStatus.FAILED if refusal else OrderStatus.SEATS_RESERVED
        order.status = "FAILED" if expected else "SEATS_RESERVED"
        order.prices = {} if expected else {seat: self.price[seat] for seat in wanted}

    def ask_for_a_change(self, draw: Draw) -> None:
        name = self.some_order(draw, "SEATS_RESERVED")
        wanted, version = draw(wishes), draw(st.sampled_from([None] * 9 + [1, 2, 3]))
        self.now += draw(waits)
        page, order = self.pages[name], self.model[name]
        is_change = set(wanted) != set(order.prices)
        expected = None
        if self.now >= order.ends:
            expected = "HoldExpired"
        elif version not in {None, order.version}:
            expected = "OrderChanged"
        elif no := self.expected_refusal(name, wanted):
            expected = no
        elif order.changes == 2:
            expected = "TooManyChanges"
        refusal = self.change(name, wanted, version)
        assert refusal == expected
        self.seen[str(refusal)] += 1
        if expected is None:
            self.seen["extended"] += not is_change
            order.version += is_change
            order.prices = {seat: order.prices.get(seat, self.price[seat]) for seat in wanted}
            order.ends, order.changes = min(self.now + HOLD_SECONDS, order.cap), order.changes + 1
        assert page.total_cents == sum(order.prices.values())

    def try_any_way(self, draw: Draw) -> None:
        name, after = self.some_order(draw), draw(st.sampled_from(OrderStatus))
        code = draw(st.sampled_from([None, FailureCode.CANCELLED, FailureCode.REFUNDED]))
        order = self.model[name]
        is_refund = order.status == "CONFIRMED" and after == "FAILED" and code == "REFUNDED"
        is_legal = is_refund or str(after) in LEGAL.get(order.status, set())
        assert can_become(self.pages[name].status, after, failure_code=code) is is_legal

    def pay_back(self, draw: Draw) -> None:
        name = self.some_order(draw, "CONFIRMED")
        code = draw(st.sampled_from([FailureCode.REFUNDED, *FailureCode]))
        is_legal = code is FailureCode.REFUNDED
        assert can_become(OrderStatus.CONFIRMED, OrderStatus.FAILED, failure_code=code) is is_legal
        if is_legal:
            self.go(name, OrderStatus.FAILED)

    def go_a_legal_way(self, draw: Draw) -> None:
        name = self.some_order(draw, *LEGAL)
        after = OrderStatus(draw(st.sampled_from(sorted(LEGAL[self.model[name].status]))))
        assert can_become(self.pages[name].status, after)
        self.go(name, after)

    # -- The book: the rules combined as in the stores ----------------------------------------------------------------

    @property
    def clock(self) -> datetime:
        return NOON + timedelta(seconds=self.now)

    @property
    def departure(self) -> datetime:
        return NOON + timedelta(seconds=DEPARTURE_SECONDS)

    def change(self, name: str, wanted: tuple[str, ...], version: int | None) -> str | None:
        page = self.pages[name]
        try:
            require_not_lapsed(page.hold, now=self.clock)
            require_version(page.version, wanted=version)
            claim = self.plan(name, wanted)
            require_changes_left(page.changes, POLICY)
            page.hold = renew_hold(page.hold, now=self.clock, hold_time=POLICY.hold_time)
            page.changes += 1
            self.apply(name, claim)
        except SkyholdError as refusal:
            return type(refusal).__name__
        return None

    def claim(self, name: str, wanted: tuple[str, ...]) -> str | None:
        try:
            self.apply(name, self.plan(name, wanted))
        except SkyholdError as refusal:
            return type(refusal).__name__
        return None

    def plan(self, name: str, wanted: tuple[str, ...]) -> Claim:
        relevant = [seat for seat in self.seats.values() if seat.id in wanted or seat.order_id == name]
        return plan_claim(name, wanted, relevant, max_seats=POLICY.max_seats)

    def apply(self, name: str, claim: Claim) -> None:
        for seat in claim.added:
            assert self.seats[seat].order_id is None, "a claim took a seat that another order has"
            self.seats[seat] = Seat(seat, SeatStatus.RESERVED, name, self.price[seat])
        self.free(claim.dropped)
        self.pages[name].version += claim.is_change
        self.pages[name].total_cents = claim.total_cents

    def go(self, name: str, after: OrderStatus) -> None:
        self.seen[f"{self.model[name].status} to {after}"] += 1
        self.pages[name].status, self.model[name].status = after, str(after)
        own = [seat.id for seat in self.seats.values() if seat.order_id == name]
        if after in {OrderStatus.FAILED, OrderStatus.EXPIRED}:
            self.free(own)
        elif after is OrderStatus.CONFIRMED:
            for seat in own:
                self.seats[seat] = replace(self.seats[seat], status=SeatStatus.BOOKED)

    def free(self, seats: tuple[str, ...] | list[str]) -> None:
        for seat in seats:
            self.seats[seat] = Seat(seat, SeatStatus.AVAILABLE, None, self.price[seat])

    # -- Invariants ---------------------------------------------------------------------------------------------------

    @invariant()
    def every_seat_has_the_models_owner(self) -> None:
        for name in SEATS:
            seat, owner = self.seats[name], self.owner(name)
            status = "available" if owner is None else "reserved"
            if owner and self.model[owner].status == "CONFIRMED":
                status = "booked"
            assert (seat.order_id, seat.status) == (owner, status), name
        assert self.seats[BLOCKED].order_id is None

    @invariant()
    def every_hold_ends_when_the_model_says(self) -> None:
        for name, order in self.model.items():
            page = self.pages[name]
            assert page.hold.expires_at == NOON + timedelta(seconds=order.ends) <= page.hold.max_expires_at
            assert page.hold.max_expires_at == NOON + timedelta(seconds=order.cap)


NEVER_LEFT_OUT = {
    *("None", "HoldExpired", "OrderChanged", "InvalidSeats", "SeatsUnavailable", "TooManyChanges"),
    *(f"{before} to {after}" for before in list(LEGAL)[1:] for after in LEGAL[before]),
    *("CONFIRMED to FAILED", "extended"),
}
"""Events that some walk must have seen, otherwise the walks prove nothing."""


@pytest.mark.rest
@pytest.mark.timeout(SHRINK_SECONDS)
def test_orders_do_what_their_model_does() -> None:
    walk(OrderWalk, walks=60, steps_each=40, until_seen=NEVER_LEFT_OUT)


@pytest.mark.long
@pytest.mark.timeout(SHRINK_SECONDS + 300)
def test_orders_do_what_their_model_does_on_long_walks() -> None:
    walk_at_random(OrderWalk, steps=60_000, steps_each=50, within_seconds=300)
    assert set(OrderWalk.seen) >= NEVER_LEFT_OUT
