"""The steps of a booking's workflow by hand: a flight of the test's own, and activities run one at a time."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeAlias

from temporalio.testing import ActivityEnvironment

from skyhold.activities.orders import OrderActivities
from skyhold.activities.payments import PaymentActivities
from skyhold.activities.seats import SeatActivities
from skyhold.domain.orders import FailureCode, Order, Policy
from skyhold.domain.payments import PaymentCode
from skyhold.domain.requests import HoldRequest, SeatChange
from skyhold.events.changes import Change, Publish
from skyhold.messages import (
    Answer,
    ClosePayment,
    ConfirmOrder,
    ExpireOrder,
    FailOrder,
    Outcome,
    RefreshSeatLocks,
    RefundPayment,
    ReleaseSeats,
    ReserveSeats,
    Step,
    UpdateSeatSelection,
    ValidatePayment,
    workflow_id_of,
)
from skyhold.payments.gateway import PaymentGateway
from skyhold.postgresql.pools import Pool
from skyhold.stores.ledger import Ledger
from skyhold.stores.orders import OrderStore
from skyhold.stores.payments import PaymentStore
from skyhold.stores.seat_locks import SeatLocks
from skyhold.stores.seats import SeatStore
from support.bookings import NAMESPACE_ID, new_order_id

CHAIN = "first-run-of-this-chain"
OTHER_CHAIN = "first-run-of-another-chain"
APPROVED, DECLINED, ANY_CODE = PaymentCode("99999"), PaymentCode("00000"), PaymentCode("12345")

StepAsk: TypeAlias = (
    ReserveSeats
    | UpdateSeatSelection
    | RefreshSeatLocks
    | ValidatePayment
    | ClosePayment
    | ConfirmOrder
    | FailOrder
    | ExpireOrder
)
Ask: TypeAlias = StepAsk | ReleaseSeats | RefundPayment

_flight_numbers = itertools.count()


async def a_flight(
    pool: Pool, seats: Sequence[str] = ("1A", "1B", "1C", "1D"), *, price_cents: int = 35000, departs_in_days: float = 2
) -> str:
    """Insert a flight for this test alone, and return its id."""
    flight_id = str(uuid.uuid4())
    number = next(_flight_numbers)
    await pool.execute(
        """INSERT INTO flights (id, flight_number, origin, destination, departs_at, departure_zone, arrives_at,
                                arrival_zone, price_cents, currency)
           SELECT $1, $2, 'AAA', 'BBB', t, 'UTC', t + interval '1 hour', 'UTC', $3, 'USD'
           FROM (SELECT clock_timestamp() + $4::interval AS t) AS clock""",
        flight_id,
        f"{chr(65 + number // 10_000)}X{number % 10_000}",
        price_cents,
        timedelta(days=departs_in_days),
    )
    await pool.executemany(
        """INSERT INTO seats (flight_id, seat_id, row_number, letter, cabin, price_cents)
           VALUES ($1, $2, $3, $4, 'economy', $5)""",
        [(flight_id, seat, int(seat[:-1]), seat[-1], price_cents) for seat in seats],
    )
    return flight_id


def a_step(order_id: str, number: int, *, chain: str = CHAIN) -> Step:
    return Step(order_id, workflow_id_of(order_id), chain, number)


def next_step(order: Order, *, chain: str = CHAIN) -> Step:
    return a_step(order.id, order.step + 1, chain=chain)


def reserve(
    flight_id: str, seats: Sequence[str], *, order_id: str | None = None, chain: str = CHAIN, **more: Any
) -> ReserveSeats:
    step = a_step(order_id or new_order_id(), 1, chain=chain)
    return ReserveSeats(step, HoldRequest(step.order_id, flight_id, tuple(seats), **more))


def change(order: Order, seats: Sequence[str], **more: Any) -> UpdateSeatSelection:
    assert order.flight_id is not None
    return UpdateSeatSelection.of(next_step(order), order, SeatChange(tuple(seats), **more))


def fail(order: Order, code: FailureCode = FailureCode.CANCELLED) -> FailOrder:
    return FailOrder(next_step(order), code, "as the test says")


def release(order: Order) -> ReleaseSeats:
    assert order.flight_id is not None
    return ReleaseSeats(order.id, order.flight_id, order.seats)


@dataclass
class ActivityRunner:
    """Activities over real stores, run one at a time as by Temporal, but without it."""

    pool: Pool
    locks: SeatLocks
    gateway: PaymentGateway
    policy: Policy = field(default_factory=Policy)
    published: list[Change] = field(default_factory=list)
    publish: Publish | None = None

    def __post_init__(self) -> None:
        ledger = Ledger(self.pool)
        publish = self.publish or self.published.append
        seats = SeatActivities(SeatStore(ledger), self.locks, publish, policy=self.policy, namespace_id=NAMESPACE_ID)
        payments = PaymentActivities(PaymentStore(ledger, self.pool), self.gateway, publish)
        orders = OrderActivities(OrderStore(ledger), self.locks, publish)
        self.activities: Mapping[type, Any] = {
            ReserveSeats: seats.reserve_seats,
            UpdateSeatSelection: seats.update_seat_selection,
            RefreshSeatLocks: seats.refresh_seat_locks,
            ReleaseSeats: seats.release_seats,
            ValidatePayment: payments.validate_payment,
            ClosePayment: payments.close_payment,
            RefundPayment: payments.refund_payment,
            ConfirmOrder: orders.confirm_order,
            FailOrder: orders.fail_order,
            ExpireOrder: orders.expire_order,
        }

    async def run(self, ask: Ask) -> Answer | None:
        """Run the activity of the request, once."""
        answer: Answer | None = await ActivityEnvironment().run(self.activities[type(ask)], ask)
        return answer

    async def ask(self, ask: StepAsk) -> Answer:
        answer = await self.run(ask)
        assert answer is not None
        return answer

    async def do(self, ask: StepAsk) -> Order:
        """Run a step that must succeed, and return the order as the ledger then has it."""
        answer = await self.ask(ask)
        assert answer.outcome is Outcome.DONE, answer
        assert answer.order is not None
        return answer.order

    async def hold(self, flight_id: str, seats: Sequence[str], **more: Any) -> Order:
        return await self.do(reserve(flight_id, seats, **more))

    async def begin_payment(self, order: Order) -> Order:
        return await self.do(RefreshSeatLocks(next_step(order)))

    async def capture(self, order: Order) -> Order:
        return await self.do(ValidatePayment(next_step(order), APPROVED))

    async def confirm(self, order: Order) -> Order:
        return await self.do(ConfirmOrder(next_step(order)))

    async def pay(self, order: Order) -> Order:
        """Pay a held order until it is confirmed."""
        return await self.confirm(await self.capture(await self.begin_payment(order)))

    async def let_lapse(self, order: Order) -> None:
        """Move the end of the hold into the past; no clock changes."""
        await self.pool.execute(
            "UPDATE orders SET expires_at = clock_timestamp() - interval '1 second' WHERE id = $1", order.id
        )
