"""ReconciliationWorkflow: once a minute, find and repair inconsistencies that killed processes left behind.

An order without a workflow is brought to its end by the booking's own activities, in the booking's own sequence,
through the ledger's fence. So this runs beside live traffic: the first to advance an order makes the other's step
stale, and a stale step changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

from skyhold.activities.orders import OrderActivities
from skyhold.activities.payments import PaymentActivities
from skyhold.activities.reconciliation import ReconciliationActivities
from skyhold.activities.seats import SeatActivities
from skyhold.domain.errors import SeatsLost
from skyhold.domain.orders import FailureCode, Order, OrderStatus
from skyhold.domain.payments import PaymentState
from skyhold.messages import (
    RECONCILIATION_WORKFLOW,
    Answer,
    ClosePayment,
    ConfirmOrder,
    ExpireOrder,
    FailOrder,
    Outcome,
    RefundPayment,
    ReleaseSeats,
    Step,
)
from skyhold.reconciliation_messages import (
    OweRefund,
    Reconciliation,
    Repair,
    RepairKind,
    Survey,
    SurveyMoney,
    TroubledOrder,
)
from skyhold.workflows.policies import RECONCILER_GATEWAY_STEP, RECONCILER_STEP, SURVEY
from skyhold.workflows.refusals import LOST_SENTENCE, failure_of_lost_payment

A = TypeVar("A")
R = TypeVar("R")

SECOND_LOOK_AFTER = timedelta(seconds=5)
"""Locks and workflows whose order is just being created look wrong for a moment: they are checked again after this."""

CONCURRENCY = 8
"""Orders repaired concurrently: one whose gateway does not answer must not keep the others waiting."""

START_CUTOFF = timedelta(minutes=3)
"""No repair of an order starts later than this, so that money and locks are reached before the run times out."""

MAX_SURVEY_AGE = timedelta(seconds=30)
"""A finding older than this, by a worker that died since or in a run that was reset, is not acted on."""


@workflow.defn(name=RECONCILIATION_WORKFLOW)
class ReconciliationWorkflow:
    """One run of the reconciler."""

    @workflow.init
    def __init__(self, *payloads: Any) -> None:
        # True: compare ended orders of any age with the gateway's statement; False: only the recent ones.
        self.is_whole = bool(payloads and payloads[0] is True)
        self.findings: list[Repair] = []
        self.is_complete = True
        self.began_at = workflow.now()
        self.places = asyncio.Semaphore(CONCURRENCY)

    @workflow.run
    async def run(self, *_payloads: Any) -> dict[str, Any]:
        """Survey and repair orders, then money, then workflows and seat locks, and return the findings.

        A survey that fails because a server does not answer does not prevent the others.
        """
        orders = await self._look(ReconciliationActivities.survey_orders, Survey())
        await self._mend_orders(orders.order_ids)
        money = await self._look(ReconciliationActivities.survey_money, Survey(), SurveyMoney(self.is_whole))
        await self._mend_orders(money.order_ids)
        locks = await self._look(ReconciliationActivities.survey_seat_locks, Survey())
        if orders.workflows or locks.locks:
            await workflow.sleep(SECOND_LOOK_AFTER, summary="a second look at what may be in the making")
        for running in orders.workflows:
            finding = await self._look(ReconciliationActivities.end_workflow, None, running)
            self.findings += [finding] if finding else []
        if locks.locks:
            self.findings += await self._look(ReconciliationActivities.mend_seat_locks, (), locks.locks)
        is_complete = self.is_complete and orders.is_complete and money.is_complete and locks.is_complete
        return asdict(Reconciliation(tuple(self.findings), orders.foreign_orders, is_complete))

    async def _mend_orders(self, order_ids: Sequence[str]) -> None:
        await asyncio.gather(*(self._mend_order(order_id) for order_id in order_ids))

    async def _mend_order(self, order_id: str) -> None:
        """Examine one order, and end it or refund it; a repair that fails is left to the next run."""
        async with self.places:
            asked_at = workflow.now()
            if asked_at - self.began_at > START_CUTOFF:
                self.is_complete = False
                return
            found = await self._look(ReconciliationActivities.examine_order, None, order_id)
            if found is None:
                return
            if workflow.now() - asked_at > MAX_SURVEY_AGE:
                self.is_complete = False
                return
            self.findings.append(await self._mend(found))

    async def _mend(self, found: TroubledOrder) -> Repair:
        finding = Repair(found.trouble, found.step.order_id, found.finding)
        if found.trouble is RepairKind.OVERDUE_ORDER:
            return replace(finding, result="It is left to its workflow, which may continue.")
        try:
            order = await self._settle(found)
        except FailureError as broken:
            _obey_cancel(broken)
            workflow.logger.warning("order could not be repaired: %s", type(broken).__name__)
            return replace(finding, result="It could not be mended now; the next run tries again.")
        if order is None or not order.status.is_terminal:
            return replace(finding, result="Another process moved it meanwhile: it was left alone.")
        return replace(finding, is_mended=True, result=_result_of(order))

    async def _settle(self, found: TroubledOrder) -> Order | None:
        """Repair the order as its status requires, and return it afterwards; None if another process moved it."""
        if found.trouble is RepairKind.STRAY_CHARGE:
            request = OweRefund(found.step, found.stray_cents, found.finding)
            answer = await self._step(PaymentActivities.owe_refund, request, "owe a refund")
        elif found.trouble is RepairKind.REFUND_DUE:
            return await self._pay_back(Order(found.step.order_id, found.status), found.finding)
        elif found.status.is_paying:
            answer = await self._end_paying(found)
        else:
            answer = await self._end_held(found)
        order = answer.order
        if order is None or answer.outcome is not Outcome.DONE or not order.status.is_terminal:
            return None
        if order.status is not OrderStatus.CONFIRMED and order.flight_id is not None and order.seats:
            release = ReleaseSeats(order.id, order.flight_id, order.seats)
            await self._step(SeatActivities.release_seats, release, "drop the seat locks")
        return await self._pay_back(order) if order.payment is PaymentState.REFUND_DUE else order

    async def _end_held(self, found: TroubledOrder) -> Answer:
        """Expire the order if its time is up by PostgreSQL's clock; otherwise fail it: no workflow can serve it."""
        if found.status is OrderStatus.SEATS_RESERVED:
            expire = ExpireOrder(found.step, found.finding)
            answer = await self._step(OrderActivities.expire_order, expire, "is the time up?")
            if answer.outcome is not Outcome.DONE or answer.order is None or answer.order.status.is_terminal:
                return answer
            return await self._fail(_after(found.step, answer.order), FailureCode.INTERNAL, LOST_SENTENCE)
        return await self._fail(found.step, FailureCode.INTERNAL, LOST_SENTENCE, found.finding)

    async def _end_paying(self, found: TroubledOrder) -> Answer:
        """Let the gateway show a capture or close the key; then confirm or fail."""
        answer = await self._gateway_step(ClosePayment(found.step, found.finding))
        order = answer.order
        if answer.outcome is not Outcome.DONE or order is None:
            return answer
        step = _after(found.step, order)
        if order.payment is not PaymentState.CAPTURED:
            return await self._fail(step, *failure_of_lost_payment(order))
        answer = await self._step(OrderActivities.confirm_order, ConfirmOrder(step), "book the seats")
        if answer.outcome is Outcome.REFUSED and answer.order is not None:
            return await self._fail(_after(step, answer.order), FailureCode.SEATS_LOST, SeatsLost.sentence)
        return answer

    async def _fail(self, step: Step, code: FailureCode, reason: str, finding: str | None = None) -> Answer:
        return await self._step(OrderActivities.fail_order, FailOrder(step, code, reason, finding=finding), "give back")

    async def _pay_back(self, order: Order, finding: str | None = None) -> Order:
        request = RefundPayment(order.id, finding)
        await workflow.execute_activity_method(
            PaymentActivities.refund_payment, request, summary="pay back", **RECONCILER_GATEWAY_STEP
        )
        return replace(order, payment=PaymentState.REFUNDED)

    async def _step(self, activity: Callable[[Any, A], Awaitable[R]], request: A, summary: str) -> R:
        return await workflow.execute_local_activity_method(activity, request, summary=summary, **RECONCILER_STEP)

    async def _gateway_step(self, request: ClosePayment) -> Answer:
        return await workflow.execute_activity_method(
            PaymentActivities.close_payment, request, summary="capture or close", **RECONCILER_GATEWAY_STEP
        )

    async def _look(self, activity: Callable[..., Awaitable[R]], nothing: R, *asks: Any) -> R:
        """Return the findings of the activity, or `nothing` if it fails or exceeds its deadline."""
        try:
            found: R = await workflow.execute_activity_method(activity, args=asks, **SURVEY)
        except FailureError as broken:
            _obey_cancel(broken)
            workflow.logger.warning("survey activity failed: %s", type(broken).__name__)
            self.is_complete = False
            return nothing
        return found


def _obey_cancel(broken: FailureError) -> None:
    """Re-raise the failure if it is a cancel of this run.

    Raises:
        FailureError: it is one.
    """
    if is_cancelled_exception(broken):
        raise broken


def _after(step: Step, order: Order) -> Step:
    return replace(step, number=order.step + 1)


def _result_of(order: Order) -> str:
    """Return the result of a repaired order, in a sentence."""
    if order.payment is PaymentState.REFUNDED:
        return "The money was given back."
    if order.status is OrderStatus.CONFIRMED:
        return "The gateway had a capture: the order was confirmed."
    return f"The order is {order.status} now, and its seats are free."
