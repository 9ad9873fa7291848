"""A small model of the ledger: the owner of each seat, the state of each order, the payments.

Written from docs/rules.md, and not from the stores. It judges the same requests as they do, one after the other,
without rows, clock or gateway: only the final result of each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from skyhold.domain.requests import HoldRequest, SeatChange
from skyhold.messages import (
    ClosePayment,
    ConfirmOrder,
    ExpireOrder,
    FailOrder,
    RefreshSeatLocks,
    ReserveSeats,
    UpdateSeatSelection,
    ValidatePayment,
)
from support.activity_runner import StepAsk

MAX_SEATS, MAX_HOLDS, MAX_CHANGES, MAX_ATTEMPTS = 3, 1, 1, 2

HOLDING = {"SEATS_RESERVED", "PAYMENT_PENDING", "PAYMENT_PROCESSING"}
PAYING = HOLDING - {"SEATS_RESERVED"}

LEGAL: dict[type, set[str]] = {
    ReserveSeats: {"CREATED"},
    UpdateSeatSelection: {"SEATS_RESERVED"},
    RefreshSeatLocks: {"SEATS_RESERVED"},
    ValidatePayment: {"PAYMENT_PENDING"},
    ClosePayment: PAYING,
    ConfirmOrder: {"PAYMENT_PROCESSING"},
    FailOrder: HOLDING,
    ExpireOrder: {"SEATS_RESERVED"},
}

CODES = {
    "DeadlineExceeded": "INTERNAL",
    "FlightNotFound": "FLIGHT_NOT_FOUND",
    "FlightDeparted": "FLIGHT_DEPARTED",
    "HoldLimit": "HOLD_LIMIT",
    "InvalidSeats": "INVALID_SEATS",
    "SeatsUnavailable": "SEATS_UNAVAILABLE",
    "PriceChanged": "PRICE_CHANGED",
}


class Left(Enum):
    """The time left of a hold; LITTLE distinguishes a deadline that was moved from one that was not."""

    FULL = auto()
    LITTLE = auto()
    NONE = auto()


@dataclass(frozen=True)
class Reply:
    """The result of a run: an outcome with the name of the refusal if any, or `BROKEN`."""

    outcome: str
    refusal: str | None = None


DONE, OPEN, STALE = Reply("done"), Reply("open"), Reply("stale")
TAKEN = Reply("taken", "OrderIdTaken")
BROKEN = Reply("broken")
"""The rule raised an error that is not a refusal: nothing is written, and Temporal would run the step again."""


def refused(name: str) -> Reply:
    return Reply("refused", name)


@dataclass
class ModelOrder:
    """One order; `prices` are those of its chosen seats, `gateway` is the state of its key at the gateway."""

    id: str
    chain: str
    guest: str | None
    step: int = 0
    mark: object = None
    answer: Reply | None = None
    status: str = "CREATED"
    prices: dict[str, int] = field(default_factory=dict)
    version: int = 0
    changes: int = 0
    left: Left = Left.FULL
    verdicts: list[str] = field(default_factory=list)
    payment: str = "none"
    gateway: str = "none"
    failure: str | None = None

    @property
    def total(self) -> int:
        return sum(self.prices.values())

    @property
    def captures(self) -> int:
        return int(self.gateway in {"captured", "refunded"})


@dataclass
class LedgerModel:
    """All orders of one flight, the owner and the current price of each seat."""

    price: dict[str, int]
    blocked: frozenset[str]
    flights: Mapping[str, str | None]  # by id: the reason why it has no seats, if any
    orders: dict[str, ModelOrder] = field(default_factory=dict)
    owner: dict[str, str] = field(default_factory=dict)

    def owned(self, order: ModelOrder) -> set[str]:
        return {seat for seat, owner in self.owner.items() if owner == order.id}

    def robbed(self) -> set[str]:
        """Orders that lost a seat by manual SQL, and have not ended."""
        open_orders = (order for order in self.orders.values() if order.status in HOLDING)
        return {order.id for order in open_orders if self.owned(order) != set(order.prices)}

    # -- The door -----------------------------------------------------------------------------------------------------

    def judge(self, ask: StepAsk) -> Reply:
        """Judge a request; for a payment step this is its first half, and `OPEN` means that the gateway is next."""
        order = self.orders.get(ask.step.order_id)
        if order is None and isinstance(ask, ReserveSeats):
            order = self.orders[ask.step.order_id] = ModelOrder(ask.step.order_id, ask.step.chain, ask.hold.guest_hash)
        if order is None or order.chain != ask.step.chain:
            return TAKEN
        if self._is_last(order, ask):
            if order.answer is not None and order.answer != OPEN:
                return order.answer
        elif order.step != ask.step.number - 1 or order.status not in LEGAL[type(ask)]:
            return STALE
        return self._answer(order, ask, _RULES[type(ask)](self, order, ask))

    def settle(self, ask: ValidatePayment | ClosePayment, found: str, attempt: int) -> Reply:
        """Judge the second half of a payment step, with the gateway's reply: a verdict, or whether it captured.

        Of two runs of one attempt the later one's verdict does not count, but a capture that it found does.
        """
        order = self.orders[ask.step.order_id]
        if not self._is_last(order, ask):
            return STALE
        if order.answer is not None and order.answer != OPEN:
            return order.answer
        if isinstance(ask, ClosePayment):
            order.payment = found
            return self._answer(order, ask, DONE)
        order.verdicts += [found] * (len(order.verdicts) < attempt)
        if found == "approved":
            order.payment = "captured"
            return self._answer(order, ask, DONE)
        if found == "declined":
            return self._answer(order, ask, refused("PaymentDeclined"))
        return self._answer(order, ask, refused("PaymentFailed") if len(order.verdicts) == MAX_ATTEMPTS else OPEN)

    def _is_last(self, order: ModelOrder, ask: StepAsk) -> bool:
        return (order.step, order.mark) == (ask.step.number, _mark(ask))

    def _answer(self, order: ModelOrder, ask: StepAsk, reply: Reply) -> Reply:
        if reply != BROKEN:
            order.step, order.mark, order.answer = ask.step.number, _mark(ask), reply
        return reply

    # -- The rules ----------------------------------------------------------------------------------------------------

    def _reserve(self, order: ModelOrder, ask: ReserveSeats) -> Reply:
        refusal = self._refusal_of_hold(order, ask.hold)
        if refusal is not None:
            order.status, order.failure = "FAILED", CODES[refusal]
            return refused(refusal)
        order.status = "SEATS_RESERVED"
        self._give(order, ask.hold.seats)
        return DONE

    def _refusal_of_hold(self, order: ModelOrder, wanted: HoldRequest) -> str | None:
        if wanted.deadline is not None:
            return "DeadlineExceeded"
        if no_flight := self.flights.get(wanted.flight_id, "FlightNotFound"):
            return no_flight
        others = [other for other in self.orders.values() if other.guest == order.guest and other.status in HOLDING]
        if order.guest is not None and len(others) >= MAX_HOLDS:
            return "HoldLimit"
        return self._refusal_of_claim(order, wanted.seats) or self._refusal_of_price(order, wanted)

    def _refusal_of_claim(self, order: ModelOrder, wanted: tuple[str, ...]) -> str | None:
        if len(wanted) > MAX_SEATS or not set(wanted) <= set(self.price):
            return "InvalidSeats"
        if any(seat in self.blocked or self.owner.get(seat, order.id) != order.id for seat in wanted):
            return "SeatsUnavailable"
        return None

    def _give(self, order: ModelOrder, wanted: tuple[str, ...]) -> None:
        order.version += not set(wanted) == set(order.prices) == self.owned(order)
        owned = self.owned(order)
        order.prices = {seat: order.prices[seat] if seat in owned else self.price[seat] for seat in wanted}
        self._free(order)
        self.owner |= dict.fromkeys(wanted, order.id)
        order.left = Left.FULL

    def _free(self, order: ModelOrder) -> None:
        for seat in self.owned(order):
            del self.owner[seat]

    def _change(self, order: ModelOrder, ask: UpdateSeatSelection) -> Reply:
        if refusal := self._refusal_of_change(order, ask.change):
            return refused(refusal)
        order.changes += 1
        self._give(order, ask.change.seats)
        return DONE

    def _refusal_of_change(self, order: ModelOrder, wanted: SeatChange) -> str | None:
        if wanted.deadline is not None:
            return "DeadlineExceeded"
        if order.left is Left.NONE:
            return "HoldExpired"
        if wanted.version not in {None, order.version}:
            return "OrderChanged"
        if refusal := self._refusal_of_claim(order, wanted.seats) or self._refusal_of_price(order, wanted):
            return refusal
        return "TooManyChanges" if order.changes == MAX_CHANGES else None

    def _refusal_of_price(self, order: ModelOrder, wanted: HoldRequest | SeatChange) -> str | None:
        owned = self.owned(order)
        total = sum(order.prices[seat] if seat in owned else self.price[seat] for seat in wanted.seats)
        return None if wanted.expected_total_cents in {None, total} else "PriceChanged"

    def _begin_payment(self, order: ModelOrder, ask: RefreshSeatLocks) -> Reply:
        if ask.deadline is not None:
            return refused("DeadlineExceeded")
        if ask.version not in {None, order.version}:
            return refused("OrderChanged")
        order.status = "PAYMENT_PENDING"
        return DONE

    def _open_payment(self, order: ModelOrder, _: ValidatePayment) -> Reply:
        order.status = "PAYMENT_PROCESSING"
        order.payment = "open" if order.payment == "none" else order.payment
        return OPEN

    def _open_closing(self, _order: ModelOrder, _: ClosePayment) -> Reply:
        return OPEN

    def _confirm(self, order: ModelOrder, _: ConfirmOrder) -> Reply:
        if order.payment != "captured":
            return BROKEN
        if self.owned(order) != set(order.prices):
            return refused("SeatsLost")
        order.status = "CONFIRMED"
        return DONE

    def _fail(self, order: ModelOrder, ask: FailOrder) -> Reply:
        if ask.version not in {None, order.version}:
            return refused("OrderChanged")
        if order.status in PAYING and order.payment in {"none", "open"}:
            return BROKEN
        order.payment = "refund_due" if order.payment == "captured" else order.payment
        order.status, order.failure = "FAILED", str(ask.code)
        self._free(order)
        return DONE

    def _expire(self, order: ModelOrder, _: ExpireOrder) -> Reply:
        if order.left is Left.NONE:
            order.status = "EXPIRED"
            self._free(order)
        return DONE


_RULES: dict[type, Callable[[LedgerModel, ModelOrder, Any], Reply]] = {
    ReserveSeats: LedgerModel._reserve,
    UpdateSeatSelection: LedgerModel._change,
    RefreshSeatLocks: LedgerModel._begin_payment,
    ValidatePayment: LedgerModel._open_payment,
    ClosePayment: LedgerModel._open_closing,
    ConfirmOrder: LedgerModel._confirm,
    FailOrder: LedgerModel._fail,
    ExpireOrder: LedgerModel._expire,
}


def _mark(ask: StepAsk) -> object:
    """Return the fingerprint of a step: its arguments, without the payment code and the deadline."""
    match ask:
        case ReserveSeats():
            return ReserveSeats, ask.hold.flight_id, ask.hold.seats, ask.hold.expected_total_cents
        case UpdateSeatSelection():
            return UpdateSeatSelection, ask.change.seats, ask.change.version, ask.change.expected_total_cents
        case RefreshSeatLocks():
            return RefreshSeatLocks, ask.version
        case FailOrder():
            return FailOrder, ask.code, ask.version
        case _:
            return type(ask)
