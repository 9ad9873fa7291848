"""Client of the booking workflows, the only one: ids, start and update calls, refusals converted to domain errors."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.update.v1 import UpdateRef
from temporalio.api.workflowservice.v1 import PollWorkflowExecutionUpdateRequest
from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from skyhold.domain.errors import OrderClosed, SkyholdError, WorkflowUnavailable, error_named
from skyhold.messages import (
    AWAIT_HOLD,
    BOOKING_WORKFLOW,
    CANCEL_BOOKING,
    PROCEED_TO_PAYMENT,
    TASK_QUEUE,
    UPDATE_SEATS,
    workflow_id_of,
)
from skyhold.workflows.views import rfc3339

TASK_TIMEOUT = timedelta(seconds=3)
"""A crash inside a workflow task delays its order by this much (docs/rules.md#the-clock)."""

COMMAND_TIMEOUT = timedelta(seconds=2.5)
"""After this a caller gets "outcome unknown"."""

CONNECT_MARGIN = timedelta(seconds=0.2)
"""Additional wait for a connection that is still being opened, which the SDK does without a timeout."""

_CONNECT_FAILED = "Failed client connect"


@dataclass(frozen=True)
class StoredAnswer:
    """The answer that Temporal keeps of a decided command: the order as it was then, or the refusal."""

    order: dict[str, Any] = field(default_factory=dict)
    refusal: SkyholdError | None = None

    def give(self) -> dict[str, Any]:
        """Return the order, or raise the refusal.

        Raises:
            SkyholdError: the command was refused.
        """
        if self.refusal is not None:
            raise self.refusal
        return self.order


class BookingClient:
    """Sends a customer's commands to the workflow of an order and returns the order after them.

    Only the ledger knows whether an order exists: a command for one that Temporal does not know is refused as closed.
    """

    def __init__(self, client: Client, *, task_queue: str = TASK_QUEUE, timeout: timedelta = COMMAND_TIMEOUT) -> None:
        self._client = client
        self._task_queue = task_queue
        self._timeout = timeout

    async def hold(
        self,
        order_id: str,
        flight_id: str,
        seats: Sequence[str],
        *,
        guest_hash: str | None = None,
        expected_total_cents: int | None = None,
        give_up_at: datetime | None = None,
    ) -> dict[str, Any]:
        """Start the booking and return its order when the seats are held; one round trip.

        Repeated with the same order id it starts nothing and returns the first outcome again.

        Raises:
            SkyholdError: the hold was refused, for the reason that the error is named after.
            WorkflowUnavailable: no answer in time; the seats may be held or not.
        """
        body = {"orderId": order_id, "flightId": flight_id, "seats": list(seats)}
        start: WithStartWorkflowOperation[Any, dict[str, Any]] = WithStartWorkflowOperation(
            BOOKING_WORKFLOW,
            body
            | _optional(guestHash=guest_hash, giveUpAt=rfc3339(give_up_at), expectedTotalCents=expected_total_cents),
            id=workflow_id_of(order_id),
            task_queue=self._task_queue,
            task_timeout=TASK_TIMEOUT,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            static_summary=f"{len(seats)} seats for order {order_id}",
            result_type=dict,
        )
        try:
            async with self._answered():
                order: dict[str, Any] = await self._client.execute_update_with_start_workflow(
                    AWAIT_HOLD,
                    {},
                    start_workflow_operation=start,
                    id=_hold_id(order_id),
                    result_type=dict,
                    rpc_timeout=self._timeout,
                )
        finally:
            await _forget(start)
        return order

    async def update_seats(
        self,
        order_id: str,
        seats: Sequence[str],
        *,
        version: int | None = None,
        expected_total_cents: int | None = None,
        give_up_at: datetime | None = None,
        update_id: str | None = None,
    ) -> dict[str, Any]:
        """Give the order exactly these seats and its full time again.

        Raises:
            SkyholdError: the change was refused, and nothing changed.
            WorkflowUnavailable: no answer in time; the change may have been made or not.
        """
        body = {"seats": list(seats)} | _optional(
            version=version, giveUpAt=rfc3339(give_up_at), expectedTotalCents=expected_total_cents
        )
        return await self._update(order_id, UPDATE_SEATS, body, update_id)

    async def pay(
        self,
        order_id: str,
        payment_code: str,
        *,
        version: int | None = None,
        give_up_at: datetime | None = None,
        update_id: str | None = None,
    ) -> dict[str, Any]:
        """Start a payment and return once it is accepted; its outcome comes later.

        Raises:
            SkyholdError: the payment was not accepted.
            WorkflowUnavailable: no answer in time; the payment may have been accepted or not.
        """
        body = {"paymentCode": payment_code} | _optional(version=version, giveUpAt=rfc3339(give_up_at))
        return await self._update(order_id, PROCEED_TO_PAYMENT, body, update_id)

    async def cancel(
        self,
        order_id: str,
        *,
        version: int | None = None,
        give_up_at: datetime | None = None,
        update_id: str | None = None,
    ) -> dict[str, Any]:
        """Cancel the order and release its seats.

        Raises:
            SkyholdError: it is too late for that.
            WorkflowUnavailable: no answer in time; the order may be cancelled or not.
        """
        body = _optional(version=version, giveUpAt=rfc3339(give_up_at))
        return await self._update(order_id, CANCEL_BOOKING, body, update_id)

    async def find_answer(self, order_id: str, update_id: str | None = None) -> StoredAnswer | None:
        """Return the stored answer to this command, by default the hold; None if there is none yet.

        A command has no answer while it is under way, or if it never arrived. Nor does one that the workflow rejected
        in its validator, or had not answered when it ended: such a command is judged when it is sent again.

        Raises:
            WorkflowUnavailable: no answer in time.
        """
        update_id = update_id or _hold_id(order_id)
        async with self._answered():
            run_id = await self._completed_in(workflow_id_of(order_id), update_id)
            if run_id is None:
                return None
            # Within one run an answer never changes.
            handle = self._client.get_workflow_handle(workflow_id_of(order_id), run_id=run_id)
            try:
                order: dict[str, Any] = await handle.get_update_handle(update_id, result_type=dict).result(
                    rpc_timeout=self._timeout
                )
            except WorkflowUpdateFailedError as failed:
                refusal = _translated(failed) if _is_refusal(failed) else None
                return StoredAnswer(refusal=refusal) if isinstance(refusal, SkyholdError) else None
        return StoredAnswer(order)

    async def _completed_in(self, workflow_id: str, update_id: str) -> str | None:
        """Return the run in which the update was completed, or None, without waiting for it."""
        request = PollWorkflowExecutionUpdateRequest(
            namespace=self._client.namespace,
            update_ref=UpdateRef(workflow_execution=WorkflowExecution(workflow_id=workflow_id), update_id=update_id),
            identity=self._client.identity,
        )
        try:
            found = await self._client.workflow_service.poll_workflow_execution_update(
                request, retry=True, timeout=self._timeout
            )
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        return found.update_ref.workflow_execution.run_id if found.HasField("outcome") else None

    async def _update(self, order_id: str, name: str, body: dict[str, Any], update_id: str | None) -> dict[str, Any]:
        handle = self._client.get_workflow_handle(workflow_id_of(order_id))
        async with self._answered():
            order: dict[str, Any] = await handle.execute_update(
                name, body, id=update_id, result_type=dict, rpc_timeout=self._timeout
            )
        return order

    @contextlib.asynccontextmanager
    async def _answered(self) -> AsyncIterator[None]:
        """Limit the time of the call in the block, and convert its error to a domain error."""
        try:
            async with asyncio.timeout((self._timeout + CONNECT_MARGIN).total_seconds()):
                yield
        except Exception as error:
            raise _translated(error) from error


async def _forget(start: WithStartWorkflowOperation[Any, Any]) -> None:
    """Retrieve the start's own outcome, so that asyncio does not log an exception that was never retrieved.

    The outcome may be a cancellation by the SDK, not by us, and after a failed connection there is never one.
    """
    looking = asyncio.ensure_future(start.workflow_handle())
    looking.add_done_callback(lambda seen: None if seen.cancelled() else seen.exception())
    await asyncio.wait({looking}, timeout=0)
    looking.cancel()


_CLOSED = frozenset({RPCStatusCode.NOT_FOUND, RPCStatusCode.ALREADY_EXISTS})
"""Temporal's status for a booking that has ended; NOT_FOUND also means one it never knew."""


def _translated(error: Exception) -> Exception:
    """Return the domain error that the error stands for, or the error itself if it is a fault."""
    match error:
        case WorkflowUpdateFailedError(cause=ApplicationError() as cause):
            return _refusal_of(cause)
        case WorkflowAlreadyStartedError():
            return OrderClosed()
        case RPCError(status=status) if status in _CLOSED:
            return OrderClosed()
        case _ if _is_silence(error):
            return WorkflowUnavailable()
        case _:
            return error


def _is_silence(error: Exception) -> bool:
    """Return whether the error means that there was no answer or no server."""
    match error:
        case RPCError(status=status):
            return status is not RPCStatusCode.INVALID_ARGUMENT
        case WorkflowUpdateRPCTimeoutOrCancelledError() | TimeoutError():
            return True
        case RuntimeError():
            return str(error).startswith(_CONNECT_FAILED)
        case _:
            return False


def _is_refusal(failed: WorkflowUpdateFailedError) -> bool:
    """Return whether the workflow itself refused the update, by a rule."""
    return isinstance(failed.cause, ApplicationError) and error_named(failed.cause.type or "") is not None


def _refusal_of(cause: ApplicationError) -> Exception:
    error = error_named(cause.type or "")
    if error is None:
        # Temporal's own error for an update that was accepted but not finished when the workflow ended.
        return OrderClosed() if cause.type == "AcceptedUpdateCompletedWorkflow" else cause
    fields = cause.details[0] if cause.details and isinstance(cause.details[0], dict) else {}
    return error(cause.message, **fields)


def _hold_id(order_id: str) -> str:
    """Return the id of the update that awaits the hold of an order, the same at every repetition."""
    return f"hold-{order_id}"


def _optional(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
