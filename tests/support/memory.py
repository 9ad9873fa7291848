"""The activities over a ledger in memory whose clock is the test server's: for workflow tests that skip time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from temporalio import activity
from temporalio.testing import WorkflowEnvironment

from skyhold.domain.errors import SkyholdError
from skyhold.domain.holds import Hold, has_lapsed, renew_hold, start_hold
from skyhold.domain.orders import Order, OrderStatus, Policy, can_become
from skyhold.domain.payments import PaymentState
from skyhold.messages import (
    Answer,
    ClosePayment,
    ConfirmOrder,
    ExpireOrder,
    FailOrder,
    Outcome,
    RefreshSeatLocks,
    RefundPayment,
    Refusal,
    ReleaseSeats,
    ReserveSeats,
    Step,
    UpdateSeatSelection,
    ValidatePayment,
)

DEPARTURE = datetime.fromisoformat("2100-01-01T00:00:00+00:00")


class MemoryActivities:
    """One order at a time, any seat, a gateway that approves: these tests are about the clock."""

    def __init__(self, environment: WorkflowEnvironment, policy: Policy) -> None:
        self.environment = environment
        self.policy = policy
        self.orders: dict[str, Order] = {}
        self.path: list[str] = []

    @activity.defn(name="ReserveSeats")
    async def reserve_seats(self, ask: ReserveSeats) -> Answer:
        now = await self.environment.get_current_time()
        policy = self.policy
        hold = start_hold(now=now, hold_time=policy.hold_time, max_lifetime=policy.max_lifetime, departs_at=DEPARTURE)
        self.orders[ask.step.order_id] = Order(
            id=ask.step.order_id,
            flight_id=ask.hold.flight_id,
            seats=ask.hold.seats,
            max_expires_at=hold.max_expires_at,
            policy=policy,
        )
        return await self._change(ask.step, status=OrderStatus.SEATS_RESERVED, version=1, expires_at=hold.expires_at)

    @activity.defn(name="UpdateSeatSelection")
    async def update_seat_selection(self, ask: UpdateSeatSelection) -> Answer:
        order = self.orders[ask.step.order_id]
        now = await self.environment.get_current_time()
        try:
            hold = renew_hold(_hold_of(order), now=now, hold_time=order.policy.hold_time)
        except SkyholdError as refusal:
            return replace(await self._change(ask.step), outcome=Outcome.REFUSED, refusal=Refusal.of(refusal))
        return await self._change(
            ask.step, seats=ask.change.seats, expires_at=hold.expires_at, changes=order.changes + 1
        )

    @activity.defn(name="RefreshSeatLocks")
    async def refresh_seat_locks(self, ask: RefreshSeatLocks) -> Answer:
        return await self._change(ask.step, status=OrderStatus.PAYMENT_PENDING)

    @activity.defn(name="ReleaseSeats")
    async def release_seats(self, ask: ReleaseSeats) -> None:
        assert self.orders[ask.order_id].status.is_terminal

    @activity.defn(name="ValidatePayment")
    async def validate_payment(self, ask: ValidatePayment) -> Answer:
        self.orders[ask.step.order_id] = replace(self.orders[ask.step.order_id], status=OrderStatus.PAYMENT_PROCESSING)
        return await self._change(ask.step, payment=PaymentState.CAPTURED, payment_attempts=1)

    @activity.defn(name="ClosePayment")
    async def close_payment(self, ask: ClosePayment) -> Answer:
        return await self._change(ask.step, payment=PaymentState.CLOSED)

    @activity.defn(name="RefundPayment")
    async def refund_payment(self, ask: RefundPayment) -> None:
        raise AssertionError(f"nothing is ever due here: {ask}")

    @activity.defn(name="ConfirmOrder")
    async def confirm_order(self, ask: ConfirmOrder) -> Answer:
        return await self._change(ask.step, status=OrderStatus.CONFIRMED, reference="ABCDEF")

    @activity.defn(name="FailOrder")
    async def fail_order(self, ask: FailOrder) -> Answer:
        return await self._change(ask.step, status=OrderStatus.FAILED, failure_code=ask.code, failure_reason=ask.reason)

    @activity.defn(name="ExpireOrder")
    async def expire_order(self, ask: ExpireOrder) -> Answer:
        now = await self.environment.get_current_time()
        if not has_lapsed(_hold_of(self.orders[ask.step.order_id]), now=now):
            return await self._change(ask.step)
        return await self._change(ask.step, status=OrderStatus.EXPIRED)

    @property
    def all(self) -> list[Callable[..., Any]]:
        return [
            self.reserve_seats,
            self.update_seat_selection,
            self.refresh_seat_locks,
            self.release_seats,
            self.validate_payment,
            self.close_payment,
            self.refund_payment,
            self.confirm_order,
            self.fail_order,
            self.expire_order,
        ]

    async def _change(self, step: Step, **values: Any) -> Answer:
        before = self.orders[step.order_id]
        if step.number != before.step + 1:
            return Answer(Outcome.STALE, order=before)
        after = replace(before, step=step.number, **values)
        assert after.status is before.status or can_become(before.status, after.status)
        if after.expires_at is not None:
            left = (after.expires_at - await self.environment.get_current_time()).total_seconds()
            after = replace(after, left_seconds=left)
        self.orders[step.order_id] = after
        return Answer(Outcome.DONE, order=after)


def _hold_of(order: Order) -> Hold:
    assert order.expires_at is not None
    assert order.max_expires_at is not None
    return Hold(order.expires_at, order.max_expires_at)
