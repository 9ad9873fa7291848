"""Surveys that find inconsistencies left by killed processes, and the repairs that the booking's activities cannot do.

An order is changed only after, in this sequence, its row was read, Temporal reported the workflow's id as closed or
unknown, and its row was found at the same step under its lock: the first two are `examine_order`, the last is the
ledger's fence. In any doubt the order is left alone until the next run (docs/rules.md#the-reconciler).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import structlog
from temporalio import activity

from skyhold.activities.booking_runs import UNREACHABLE_ERRORS, BookingRuns, NoWorkerAnsweredError
from skyhold.activities.findings import lock_finding, note
from skyhold.activities.heartbeats import heartbeats
from skyhold.domain.flights import is_flight_id
from skyhold.domain.orders import OrderStatus
from skyhold.domain.payments import PaymentState
from skyhold.messages import Step, order_id_of
from skyhold.readers.booking_runs import BookingRun
from skyhold.reconciliation_messages import (
    Repair,
    RepairKind,
    RunningWorkflow,
    SeatLockFault,
    Survey,
    SurveyMoney,
    TroubledOrder,
)

if TYPE_CHECKING:
    from skyhold.payments.gateway import PaymentGateway
    from skyhold.queries.reconciliation import Booking, OpenOrder, OrderRow, ReconciliationQueries
    from skyhold.stores.ledger import Ledger
    from skyhold.stores.seat_lock_repairs import SeatLockRepairs

T = TypeVar("T")

FINDINGS_LIMIT = 200
"""Maximum number of orders or workflows that one run repairs; the next run continues."""

LOCKS_LIMIT = 1000
"""Maximum number of locks that one run repairs: each is cheap, and after a wiped Redis every hold misses its lock."""

SUSPECTS_LIMIT = 2000
"""Maximum number of workflows that one survey checks by id, should the list of running ones be empty or late."""

RUNNING_LIMIT = 100_000

GRACE = timedelta(minutes=1)
"""Time that a workflow may run without an open order (docs/rules.md#invariants, I6)."""

MAX_TASK_FAILURES = 5
"""A workflow that failed its task so often in a row will not recover (docs/rules.md#the-reconciler)."""

RECENT = timedelta(hours=1)
"""Orders that ended longer ago are compared with the gateway's statement only on request."""

CONCURRENCY = 8
"""Number of workflows that are checked in Temporal concurrently."""

OVERDUE_LIMIT = 20
"""Maximum number of overdue orders that one run reports: one fault makes many, and each costs a query."""

_log = structlog.get_logger(__name__)


class ReconciliationActivities:
    """Surveys, examines orders one by one, and repairs seat locks and workflows; other activities repair orders."""

    def __init__(
        self,
        queries: ReconciliationQueries,
        runs: BookingRuns,
        gateway: PaymentGateway,
        ledger: Ledger,
        repairs: SeatLockRepairs,
    ) -> None:
        self._queries = queries
        self._runs = runs
        self._gateway = gateway
        self._ledger = ledger
        self._repairs = repairs

    @activity.defn(name="SurveyOrders")
    async def survey_orders(self) -> Survey:
        """Find open orders whose workflow may be gone or stuck, and running workflows that may have no open order."""
        async with heartbeats():
            running = {run.workflow_id: run for run in await self._runs.running(limit=RUNNING_LIMIT)}
            is_complete = len(running) < RUNNING_LIMIT
            suspects: list[OpenOrder] = []
            after = ""
            while page := await self._queries.open_orders(after=after):
                suspects += [order for order in page if order.is_overdue or order.workflow_id not in running]
                for order in page:
                    running.pop(order.workflow_id, None)
                after = page[-1].id
            foreign = await self._queries.foreign_orders()
            old = [run for run in running.values() if _is_old(run)]
            lost, overdue, silent = await self._troubled_of(_some(suspects, SUSPECTS_LIMIT))
            orphans = await self._orphans_of(_some(old, SUSPECTS_LIMIT))
        if silent:
            _log.warning("Temporal lookup of open orders failed, skipping them; has it lost its data?", orders=silent)
        if foreign:
            _log.warning("open orders belong to another Temporal namespace and are left alone", orders=foreign)
        return Survey(
            (*_some(lost, FINDINGS_LIMIT), *_some(overdue, OVERDUE_LIMIT)),
            _some(orphans, FINDINGS_LIMIT),
            foreign_orders=foreign,
            is_complete=is_complete
            and not silent
            and max(len(lost), len(orphans)) <= FINDINGS_LIMIT
            and len(overdue) <= OVERDUE_LIMIT
            and max(len(suspects), len(old)) <= SUSPECTS_LIMIT,
        )

    @activity.defn(name="SurveyMoney")
    async def survey_money(self, request: SurveyMoney) -> Survey:
        """Find orders with a refund due, and orders that ended unpaid but were charged by the gateway."""
        async with heartbeats():
            troubled = [order_id async for order_id in self._refunds_due()]
            troubled += [order_id async for order_id in self._stray_charges(request)]
        return Survey(_some(troubled, FINDINGS_LIMIT), is_complete=len(troubled) <= FINDINGS_LIMIT)

    @activity.defn(name="SurveySeatLocks")
    async def survey_seat_locks(self) -> Survey:
        """Find seats whose lock does not match their hold; a hold just being made is among them for a moment."""
        async with heartbeats():
            faults = await self._lock_faults()
        if faults is None:
            return Survey(is_complete=False)
        return Survey(locks=_some(faults, LOCKS_LIMIT), is_complete=len(faults) <= LOCKS_LIMIT)

    async def _lock_faults(self) -> list[SeatLockFault] | None:
        """Compare locks with holds; a key that only has the name of a lock is left alone: the audit reports it."""
        locks = await self._repairs.find_locks()
        if locks is None:
            return None
        holds = await self._queries.holds()
        stray = {seat: lock.owner for seat, lock in locks.items() if seat not in holds and lock.owner is not None}
        known = await self._queries.known_flights(
            sorted({seat.flight_id for seat in stray if is_flight_id(seat.flight_id)})
        )
        foreign = await self._queries.foreign_owners(sorted(set(stray.values())))
        faults = [
            SeatLockFault(*seat, owner)
            for seat, owner in stray.items()
            if seat.flight_id in known and owner not in foreign
        ]
        for seat, hold in holds.items():
            lock = locks.get(seat)
            is_lock = lock is None or lock.owner is not None
            if hold.is_ours and is_lock and (lock is None or lock.owner != hold.order_id or not lock.has_ttl):
                faults.append(SeatLockFault(*seat, lock.owner if lock else None))
        return faults

    @activity.defn(name="ExamineOrder")
    async def examine_order(self, order_id: str) -> TroubledOrder | None:
        """Return the order if its workflow does not end it as it should; a workflow that cannot recover is terminated.

        The row is read before Temporal is queried, so that a step of the row's number is stale if anything happened
        since.
        """
        async with heartbeats():
            try:
                found = await self._examine(order_id)
            except UNREACHABLE_ERRORS as silence:
                _log.warning("Temporal lookup failed, skipping order", order=order_id, error=type(silence).__name__)
                return None
        if found is not None:
            note(found.trouble, order_id, found.finding)
        return found

    async def _examine(self, order_id: str) -> TroubledOrder | None:
        order = await self._queries.find_order(order_id)
        if order is None:
            return None
        run = await self._runs.find(order.workflow_id)
        trouble = RepairKind.LOST_ORDER
        if run is not None and not run.is_closed:
            if not _is_stuck(run, order):
                return await self._judge_overdue(order, run)
            await self._runs.terminate(run, "Its task failed again and again and its order is overdue.")
            trouble = RepairKind.STUCK_WORKFLOW
            order = await self._queries.find_order(order_id)
            run = await self._runs.find(order.workflow_id) if order else None
            if order is None or run is None or not run.is_closed:
                return None
        return await self._judge(order, run, trouble)

    @activity.defn(name="EndWorkflow")
    async def end_workflow(self, workflow: RunningWorkflow) -> Repair | None:
        """Terminate a workflow that has had no open order for a minute; None if it has one, or has ended."""
        async with heartbeats():
            run = await self._runs.find(workflow.workflow_id)
            if run is None or not run.is_running or run.run_id != workflow.run_id or not _is_old(run):
                return None
            order_id = order_id_of(workflow.workflow_id)
            why = _why_orphaned(run, (await self._queries.find_bookings([order_id])).get(order_id))
            if why is None:
                return None
            await self._runs.terminate(run, f"It runs without an open order: {why}.")
            detail = f"The workflow {workflow.workflow_id} ran on although {why}."
            await self._ledger.note(order_id, detail)
        note(RepairKind.WORKFLOW_WITHOUT_ORDER, order_id, detail)
        return Repair(RepairKind.WORKFLOW_WITHOUT_ORDER, order_id, detail, is_mended=True, result="It was terminated.")

    @activity.defn(name="MendSeatLocks")
    async def mend_seat_locks(self, faults: tuple[SeatLockFault, ...]) -> tuple[Repair, ...]:
        """Bring the locks of these seats in line with the ledger, each under its seat's row lock."""
        mended: dict[tuple[RepairKind, str], list[str]] = {}
        async with heartbeats():
            for fault in faults:
                if repair := await self._repairs.mend(fault):
                    mended.setdefault((repair.trouble, repair.order_id), []).append(fault.seat_id)
            findings = tuple(lock_finding(trouble, order_id, seats) for (trouble, order_id), seats in mended.items())
            for finding in findings:
                await self._ledger.note(finding.order_id or "", finding.detail)
                note(finding.trouble, finding.order_id, finding.detail)
        return findings

    async def _troubled_of(self, orders: Sequence[OpenOrder]) -> tuple[list[str], list[str], int]:
        """Return orders without a workflow that can continue, overdue ones, and the number with a failed lookup."""
        places = asyncio.Semaphore(CONCURRENCY)

        async def trouble_of(order: OpenOrder) -> RepairKind | str | None:
            async with places:
                try:
                    run = await self._runs.find(order.workflow_id)
                except UNREACHABLE_ERRORS:
                    return _SILENCE
            is_failing = run is not None and run.is_running and run.failed_tasks >= MAX_TASK_FAILURES
            if run is None or run.is_closed or (order.is_overdue and is_failing):
                return RepairKind.LOST_ORDER
            return RepairKind.OVERDUE_ORDER if _is_long_overdue(order) else None

        troubles = list(zip(orders, await asyncio.gather(*map(trouble_of, orders)), strict=True))
        lost = [order.id for order, trouble in troubles if trouble is RepairKind.LOST_ORDER]
        overdue = [order.id for order, trouble in troubles if trouble is RepairKind.OVERDUE_ORDER]
        return lost, overdue, sum(trouble is _SILENCE for _, trouble in troubles)

    async def _judge_overdue(self, order: OrderRow, run: BookingRun) -> TroubledOrder | None:
        """Return an overdue order whose workflow runs, with the step that blocks it; it is left to its workflow."""
        if order.status.is_terminal or not _is_long_overdue(order) or order.overdue_for is None:
            return None
        why = await self._why_not_ended(run)
        seconds = round(order.overdue_for.total_seconds())
        how = "runs" if run.is_running else f"is {run.status.lower().replace('_', ' ')}"
        finding = f"The order is {order.status} and should have ended {seconds} s ago. Its workflow {how}; {why}."
        step = Step(order.id, order.workflow_id, order.chain, order.step + 1)
        return TroubledOrder(RepairKind.OVERDUE_ORDER, step, order.status, finding)

    async def _why_not_ended(self, run: BookingRun) -> str:
        try:
            failing = await self._runs.find_failing_step(run)
        except NoWorkerAnsweredError:
            return "no worker on its task queue answers"
        if failing is None:
            return "no failing step is known"
        return f"{failing.step} fails: {failing.error}, attempt {failing.attempt}"

    async def _orphans_of(self, runs: Sequence[BookingRun]) -> list[RunningWorkflow]:
        """Return those of the runs that have no order left to finish.

        None if the ledger never had an order of this namespace: a worker with another ledger's address would end every
        booking.
        """
        if not runs or not await self._queries.has_orders():
            return []
        bookings = await self._queries.find_bookings([order_id_of(run.workflow_id) for run in runs])
        return [
            RunningWorkflow(run.workflow_id, run.run_id)
            for run in runs
            if (booking := bookings.get(order_id_of(run.workflow_id))) is None
            or (booking.status.is_terminal and booking.rests > GRACE)
        ]

    async def _refunds_due(self) -> AsyncIterator[str]:
        after = ""
        while page := await self._queries.refunds_due(after=after):
            for order_id in page:
                yield order_id
            after = page[-1]

    async def _stray_charges(self, request: SurveyMoney) -> AsyncIterator[str]:
        after, within = "", {} if request.is_whole else {"within": RECENT}
        while page := await self._queries.unpaid_keys(after=after, **within):
            lines = await self._gateway.statement([key for _, key in page], limit=len(page))
            charged = {line.key for line in lines if line.captures > line.refunds}
            for order_id, key in page:
                if key in charged:
                    yield order_id
            after = page[-1][0]

    async def _judge(self, order: OrderRow, run: BookingRun | None, trouble: RepairKind) -> TroubledOrder | None:
        """Return the finding for an order whose workflow does not run, or None if the order is fine."""
        how = f"is {run.status.lower().replace('_', ' ')}" if run else "is unknown to Temporal"
        step = Step(order.id, order.workflow_id, order.chain, order.step + 1)
        if not order.status.is_terminal:
            if trouble is RepairKind.STUCK_WORKFLOW:
                how = "failed its task again and again and was terminated"
            finding = f"The order is {order.status}, but its workflow {how}."
            return TroubledOrder(trouble, step, order.status, finding)
        if order.payment is PaymentState.REFUND_DUE:
            finding = f"A refund is due, but the order's workflow {how}."
            return TroubledOrder(RepairKind.REFUND_DUE, step, order.status, finding)
        lines = await self._gateway.statement([order.payment_key], limit=1)
        cents = sum(line.amount_cents for line in lines if line.captures > line.refunds)
        if cents and order.payment in _UNPAID and order.status is not OrderStatus.CONFIRMED:
            finding = f"The order is {order.status}, but the gateway shows a charge of {cents} cents."
            return TroubledOrder(RepairKind.STRAY_CHARGE, step, order.status, finding, stray_cents=cents)
        return None


_UNPAID = frozenset({PaymentState.OPEN, PaymentState.CLOSED, PaymentState.CAPTURED})


_SILENCE = "silence"


def _is_long_overdue(order: OpenOrder | OrderRow) -> bool:
    return order.overdue_for is not None and order.overdue_for > GRACE


def _is_old(run: BookingRun) -> bool:
    """Return whether the run began more than a minute ago; both times are Temporal's."""
    return activity.info().current_attempt_scheduled_time - run.started_at > GRACE


def _why_orphaned(run: BookingRun, booking: Booking | None) -> str | None:
    """Return the reason why the run has nothing left to do, or None if it may have."""
    if booking is None:
        return "its order is not in the ledger"
    if booking.chain != run.chain:
        return "its order belongs to another execution"
    if booking.status.is_terminal and booking.rests > GRACE:
        return f"its order has been {booking.status} for longer than a minute"
    return None


def _is_stuck(run: BookingRun, order: OrderRow) -> bool:
    # A paused workflow is left to the operator who paused it, however often it failed before.
    is_failing = run.is_running and run.failed_tasks >= MAX_TASK_FAILURES
    return is_failing and order.is_overdue and not order.status.is_terminal


def _some(things: Sequence[T], limit: int) -> tuple[T, ...]:
    """Return a random sample: items that cannot be repaired now must not keep the others waiting."""
    return tuple(random.sample(things, min(limit, len(things))))
