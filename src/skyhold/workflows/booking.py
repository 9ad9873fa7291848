"""BookingWorkflow, the life of one booking: seats are held, changed, paid for, and booked or released.

One coroutine executes one command at a time. Its only state is the ledger's order from the last answer, and that
order's status selects the next step. So a booking that was reset, lost by Temporal or run twice recovers by itself: the
ledger returns the current state. Nothing here calculates, decides about seats or money, or reads a setting or a clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import FailureError

from skyhold.activities.failing_steps import FAILING_STEPS
from skyhold.activities.orders import OrderActivities
from skyhold.activities.payments import PaymentActivities
from skyhold.activities.seats import SeatActivities
from skyhold.domain import requests
from skyhold.domain.errors import (
    InvalidRequest,
    OrderChanged,
    OrderIdTaken,
    PaymentInProgress,
    SeatsLost,
    SkyholdError,
)
from skyhold.domain.orders import FailureCode, Order, OrderStatus, refusal_when_closed
from skyhold.domain.payments import PaymentCode, PaymentState
from skyhold.domain.requests import Cancellation, HoldRequest, OrderCommand, Payment, SeatChange
from skyhold.messages import (
    AWAIT_HOLD,
    BOOKING_STATUS,
    BOOKING_WORKFLOW,
    CANCEL_BOOKING,
    FAILING_STEP,
    PAYMENT_ATTEMPT,
    PROCEED_TO_PAYMENT,
    STATUS_ATTRIBUTE,
    UPDATE_SEATS,
    Answer,
    ClosePayment,
    ConfirmOrder,
    ExpireOrder,
    FailOrder,
    OrderReply,
    Outcome,
    RefreshSeatLocks,
    RefundPayment,
    Refusal,
    ReleaseSeats,
    ReserveSeats,
    Step,
    UpdateSeatSelection,
    ValidatePayment,
    workflow_id_of,
)
from skyhold.workflows.inbox import Inbox, QueuedCommand
from skyhold.workflows.policies import ALARM_MARGIN, GATEWAY_STEP, LEDGER_STEP, payment_step
from skyhold.workflows.refusals import as_failure, failure_of_payment, or_failure, refusal_of_first_hold
from skyhold.workflows.views import details_line, result_view, status_view

A = TypeVar("A")
R = TypeVar("R")

_STATUS = SearchAttributeKey.for_keyword(STATUS_ATTRIBUTE)


@workflow.defn(name=BOOKING_WORKFLOW)
class BookingWorkflow:
    """One booking, from the first hold of its seats to its end."""

    @workflow.init
    def __init__(self, *payloads: Any) -> None:
        self.order = Order(id="")
        self.inbox = Inbox()
        self.request: HoldRequest | None = None
        self.hold_answer: Answer | None = None  # outcome of the first hold
        self.code: PaymentCode | None = None  # kept from the moment a payment is accepted until the gateway gets it
        self.attempt = 0
        self.alarm_at = self.scheduled_at = workflow.now()
        self.is_cancelled = False  # by Temporal, not by the customer
        self.has_status_attribute = False
        try:
            self.request = _parse_booking(payloads)
            self.order = Order(id=self.request.order_id)
        except SkyholdError as refusal:
            self._end_without_ledger(Refusal.of(refusal), FailureCode.INVALID_REQUEST)

    # -- The life of the booking --------------------------------------------------------------------------------------

    @workflow.run
    async def run(self, *_payloads: Any) -> dict[str, Any]:
        """Hold the seats, serve the customer until the order ends, clean up, and return the result."""
        if self.request is not None:
            await self._hold_seats(self.request)
        while not self.order.status.is_terminal:
            if self.order.status is OrderStatus.SEATS_RESERVED:
                await self._serve_held()
            else:
                await self._pay()
        await self._clean_up()
        if self.is_cancelled and self.order.failure_code is FailureCode.CANCELLED:
            raise asyncio.CancelledError
        return result_view(self.order)

    async def _hold_seats(self, booking: HoldRequest) -> None:
        request = ReserveSeats(self._next_step(), booking)
        self.hold_answer = await self._run_step(SeatActivities.reserve_seats, request, "hold the seats")

    async def _serve_held(self) -> None:
        """Do one step while the clock runs: a cancel from Temporal goes first, then commands, then a rung alarm."""
        if self.is_cancelled:
            await self._fail(FailureCode.CANCELLED, "The booking was cancelled by its operator.")
        elif self.inbox:
            await self._execute(self.inbox.next())
        elif self.alarm_at > workflow.now():
            await self._wait_for_command_or_alarm()
        else:
            await self._run_step(OrderActivities.expire_order, ExpireOrder(self._next_step()), "is the time up?")

    async def _execute(self, queued: QueuedCommand) -> None:
        match queued.command:
            case SeatChange() as change:
                answer = await self._change_seats(change)
            case Payment(code, version, deadline):
                request = RefreshSeatLocks(self._next_step(), version, deadline)
                answer = await self._run_step(
                    SeatActivities.refresh_seat_locks, request, "stop the clock, hold for payment"
                )
                if answer.outcome is Outcome.DONE:
                    self.code = code
            case Cancellation(version):
                answer = await self._fail(FailureCode.CANCELLED, "The customer cancelled the booking.", version)
                if answer.outcome is Outcome.STALE:
                    # A cancel means the same in any state of the order: it is judged again.
                    self.inbox.put_back(queued)
                    return
        self.inbox.reply(queued, answer)

    async def _change_seats(self, change: SeatChange) -> Answer:
        request = UpdateSeatSelection.of(self._next_step(), self.order, change)
        return await self._run_step(SeatActivities.update_seat_selection, request, "change the seats")

    async def _pay(self) -> None:
        """Charge, then confirm or fail; if the ledger is at another step, the next turn of the loop handles it."""
        self.inbox.refuse_all(PaymentInProgress())
        verdict = await self._validate(self.code) if self.code and not self.is_cancelled else None
        if verdict is None or verdict.outcome is Outcome.REFUSED:
            # No money, or the outcome is unknown: the gateway shows its capture, or refuses every later charge.
            closed = await self._close_payment()
            is_settled = closed.outcome is Outcome.DONE
        else:
            is_settled = verdict.outcome is Outcome.DONE
        if is_settled and self.order.payment is PaymentState.CAPTURED:
            await self._confirm()
        elif is_settled:
            await self._fail(*failure_of_payment(verdict, self.order, is_cancelled=self.is_cancelled))

    async def _validate(self, code: PaymentCode) -> Answer | None:
        """Charge until the gateway has a verdict; None if the outcome is unknown, which closing then decides."""
        request, self.code = ValidatePayment(self._next_step(), code), None
        self.order, self.attempt = replace(self.order, status=OrderStatus.PAYMENT_PROCESSING), 1
        how = payment_step(self.order.policy.payment_limit)
        handle = workflow.start_activity_method(
            PaymentActivities.validate_payment, request, summary="ask the gateway", **how
        )
        try:
            return self._adopt(await asyncio.shield(handle))
        except asyncio.CancelledError:
            # The activity keeps running and its answer is dropped. If its verdict is in the ledger, closing is stale
            # and adopts that order; if not, closing makes a later verdict stale.
            self.is_cancelled = True
        except FailureError as broken:
            workflow.logger.warning("the payment's outcome is unknown: %s", type(broken).__name__)
        return None

    async def _close_payment(self) -> Answer:
        return await self._decide(
            workflow.start_activity_method(
                PaymentActivities.close_payment,
                ClosePayment(self._next_step()),
                summary="capture or close",
                **GATEWAY_STEP,
            )
        )

    async def _confirm(self) -> None:
        request = ConfirmOrder(self._next_step())
        answer = await self._run_step(OrderActivities.confirm_order, request, "book the seats")
        if answer.outcome is Outcome.REFUSED:
            await self._fail(FailureCode.SEATS_LOST, SeatsLost.sentence)

    async def _fail(self, code: FailureCode, reason: str, version: int | None = None) -> Answer:
        request = FailOrder(self._next_step(), code, reason, version)
        return await self._run_step(OrderActivities.fail_order, request, "give back")

    async def _clean_up(self) -> None:
        """After the order's end: refuse waiting commands, release the locks, refund, set the status attribute."""
        order = self.order
        self.inbox.refuse_all(refusal_when_closed(order.status))
        if order.status is not OrderStatus.CONFIRMED and order.flight_id is not None and order.seats:
            release = ReleaseSeats(order.id, order.flight_id, order.seats)
            await self._to_the_end(
                workflow.start_local_activity_method(
                    SeatActivities.release_seats, release, summary="drop the seat locks", **LEDGER_STEP
                )
            )
        if order.payment is PaymentState.REFUND_DUE:
            request = RefundPayment(order.id)
            await self._to_the_end(
                workflow.start_activity_method(
                    PaymentActivities.refund_payment, request, summary="pay back", **GATEWAY_STEP
                )
            )
        await self._to_the_end(workflow.wait_condition(workflow.all_handlers_finished))
        if self.has_status_attribute:
            workflow.upsert_search_attributes([_STATUS.value_set(order.status.value)])

    # -- One step -----------------------------------------------------------------------------------------------------

    def _next_step(self) -> Step:
        info = workflow.info()
        return Step(self.order.id, info.workflow_id, info.first_execution_run_id, self.order.step + 1)

    async def _run_step(self, activity: Callable[[Any, A], Awaitable[Answer]], request: A, summary: str) -> Answer:
        """Let the ledger decide one step, as a local activity: it is short, and costs one history event."""
        return await self._decide(
            workflow.start_local_activity_method(activity, request, summary=summary, **LEDGER_STEP)
        )

    async def _decide(self, step: Awaitable[Answer]) -> Answer:
        """Await one step to its outcome, even if a cancel arrives meanwhile, and adopt the order of its answer."""
        self.scheduled_at = workflow.now()
        return self._adopt(await self._to_the_end(step))

    def _adopt(self, answer: Answer) -> Answer:
        """Replace our order by the ledger's, and set the alarm: time left by PostgreSQL, counted from the request."""
        if answer.outcome is Outcome.NOT_OWNER:
            self._end_without_ledger(answer.refusal or Refusal.of(OrderIdTaken()), FailureCode.ORDER_ID_TAKEN)
        elif answer.order is not None:
            self.order = answer.order
            self.alarm_at = self.scheduled_at + timedelta(seconds=answer.order.left_seconds) + ALARM_MARGIN
            self.has_status_attribute = answer.has_status_attribute
        if answer.outcome is Outcome.STALE:
            # We were behind, after a reset or data loss in Temporal: waiting commands may have been executed before.
            self.inbox.refuse_all(OrderChanged(), but_cancellations=True)
        workflow.set_current_details(details_line(self.order))
        return answer

    async def _to_the_end(self, work: Awaitable[R]) -> R:
        """Await the work to its outcome; a cancel is only recorded, since acting on it would leave work half done."""
        task = asyncio.ensure_future(work)
        while True:
            try:
                return await asyncio.shield(task)
            except asyncio.CancelledError:
                if task.cancelled():
                    raise
                # The workflow's own cancel, even if the work is done: both may arrive in one workflow task.
                self.is_cancelled = True

    async def _wait_for_command_or_alarm(self) -> None:
        try:
            await workflow.wait_condition(
                lambda: bool(self.inbox), timeout=self.alarm_at - workflow.now(), timeout_summary="the hold expires"
            )
        except TimeoutError:
            pass  # The alarm rang: the next turn queries PostgreSQL, unless a command came with it.
        except asyncio.CancelledError:
            self.is_cancelled = True

    def _end_without_ledger(self, refusal: Refusal, code: FailureCode) -> None:
        """End as FAILED without compensation: the ledger has no order of this booking."""
        self.hold_answer = Answer(Outcome.REFUSED, refusal)
        order_id = self.request.order_id if self.request else ""
        self.order = Order(id=order_id, status=OrderStatus.FAILED, failure_code=code, failure_reason=refusal.detail)

    # -- Messages: all accept any JSON; parse errors contain no value -------------------------------------------------

    @workflow.signal(name=UPDATE_SEATS)
    def signal_update_seats(self, *payloads: Any) -> None:
        """Change the seats; a refusal is shown by the status query."""
        self._take_signal(requests.parse_seat_change, payloads)

    @workflow.signal(name=PROCEED_TO_PAYMENT)
    def signal_proceed_to_payment(self, *payloads: Any) -> None:
        """Pay; a refusal is shown by the status query."""
        self._take_signal(requests.parse_payment, payloads)

    @workflow.signal(name=CANCEL_BOOKING)
    def signal_cancel_booking(self, *_payloads: Any) -> None:
        """Cancel and release the seats; any payload is ignored."""
        self._take_signal(requests.parse_cancellation, ())

    @workflow.signal(name=PAYMENT_ATTEMPT)
    def signal_payment_attempt(self, *payloads: Any) -> None:
        """Store the number of the attempt under way, sent by the payment activity."""
        if len(payloads) == 1 and isinstance(payloads[0], int):
            self.attempt = max(self.attempt, min(payloads[0], self.order.policy.payment_attempts))

    @workflow.update(name=AWAIT_HOLD)
    async def await_hold(self, *_payloads: Any) -> dict[str, Any]:
        """Reply with the outcome of the first hold: the order or the refusal."""
        await workflow.wait_condition(lambda: self.hold_answer is not None)
        if refusal := refusal_of_first_hold(self.hold_answer, self.order):
            raise as_failure(refusal)
        return OrderReply.of(self.order).to_json()

    @workflow.update(name=UPDATE_SEATS)
    async def update_seats(self, *payloads: Any) -> dict[str, Any]:
        """Change the seats, and reply with the order after the change or the refusal."""
        return await self._take_update(requests.parse_seat_change, payloads)

    @workflow.update(name=PROCEED_TO_PAYMENT)
    async def proceed_to_payment(self, *payloads: Any) -> dict[str, Any]:
        """Accept a payment, and reply when PAYMENT_PENDING is in the ledger, or with the refusal."""
        return await self._take_update(requests.parse_payment, payloads)

    @workflow.update(name=CANCEL_BOOKING)
    async def cancel_booking(self, *payloads: Any) -> dict[str, Any]:
        """Cancel, and reply when the seats are released, or with the refusal."""
        return await self._take_update(requests.parse_cancellation, payloads)

    @await_hold.validator
    def can_await_hold(self, *payloads: Any) -> None:
        """Refuse a malformed update before it costs history."""
        or_failure(lambda: requests.parse_hold_outcome_request(payloads))

    @update_seats.validator
    def can_update_seats(self, *payloads: Any) -> None:
        """Refuse malformed commands and wrong states cheaply; the ledger decides about the others."""
        or_failure(lambda: self._parse_if_useful(requests.parse_seat_change, payloads))

    @proceed_to_payment.validator
    def can_proceed_to_payment(self, *payloads: Any) -> None:
        """Refuse malformed commands and wrong states cheaply; the ledger decides about the others."""
        or_failure(lambda: self._parse_if_useful(requests.parse_payment, payloads))

    @cancel_booking.validator
    def can_cancel_booking(self, *payloads: Any) -> None:
        """Refuse malformed commands and wrong states cheaply; the ledger decides about the others."""
        or_failure(lambda: self._parse_if_useful(requests.parse_cancellation, payloads))

    @workflow.query(name=BOOKING_STATUS)
    def booking_status(self, *_payloads: Any) -> dict[str, Any]:
        """Return the order's status at the moment of the query."""
        with workflow.unsafe.sandbox_unrestricted():
            # A query is not recorded, so it may read the clock; workflow.now() is that of the last workflow task.
            now = datetime.now(UTC)
        order = self.order
        attempt = max(self.attempt, order.payment_attempts) if order.status.is_paying else order.payment_attempts
        return status_view(order, attempt=attempt, last_error=self.inbox.last_error, now=now)

    @workflow.query(name=FAILING_STEP)
    def failing_step(self, *_payloads: Any) -> dict[str, Any] | None:
        """Return the step of this booking that fails in the worker that answers, or None."""
        return FAILING_STEPS.of(workflow.info().workflow_id)

    def _take_signal(self, parse: Parse, payloads: Sequence[Any]) -> None:
        try:
            self.inbox.add(self._parse_if_useful(parse, payloads))
        except SkyholdError as refusal:
            self.inbox.note(refusal)

    async def _take_update(self, parse: Parse, payloads: Sequence[Any]) -> dict[str, Any]:
        queued = self.inbox.add(or_failure(lambda: self._parse_if_useful(parse, payloads)))
        await workflow.wait_condition(lambda: queued.is_answered)
        if queued.refusal is not None or queued.order is None:
            raise as_failure(queued.refusal or Refusal.of(OrderChanged()))
        return OrderReply.of(queued.order).to_json()

    def _parse_if_useful(self, parse: Parse, payloads: Sequence[Any]) -> OrderCommand:
        """Return the parsed command if it is worth queueing.

        Raises:
            SkyholdError: it is malformed, the order is closed or being paid, or its seats changed too often.
        """
        command = parse(payloads)
        if self.order.status.is_terminal:
            raise refusal_when_closed(self.order.status)
        if self.order.status.is_paying:
            raise PaymentInProgress
        self.inbox.require_room(command)
        return command


Parse = Callable[[Sequence[Any]], OrderCommand]


def _parse_booking(payloads: Sequence[Any]) -> HoldRequest:
    request = requests.parse_hold_request(payloads)
    if workflow.info().workflow_id != workflow_id_of(request.order_id):
        raise InvalidRequest("The workflow id must be booking- and the order id.")
    return request
