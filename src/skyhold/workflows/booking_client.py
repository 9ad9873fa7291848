"""Client of the booking workflows, the only one: ids, start and update calls, refusals converted to domain errors."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
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
from skyhold.domain.requests import Cancellation, HoldRequest, OrderCommand, Payment, SeatChange
from skyhold.messages import (
    AWAIT_HOLD,
    BOOKING_WORKFLOW,
    CANCEL_BOOKING,
    PROCEED_TO_PAYMENT,
    TASK_QUEUE,
    UPDATE_SEATS,
    OrderReply,
    workflow_id_of,
)

TASK_TIMEOUT = timedelta(seconds=3)
"""A crash inside a workflow task delays its order by this much (docs/rules.md#the-clock)."""

COMMAND_TIMEOUT = timedelta(seconds=2.5)
"""After this a caller gets "outcome unknown"."""

CONNECT_MARGIN = timedelta(seconds=0.2)
"""Additional wait for a connection that is still being opened, which the SDK does without a timeout."""

_CONNECT_FAILED = "Failed client connect"

_UPDATES: Mapping[type[OrderCommand], str] = {
    SeatChange: UPDATE_SEATS,
    Payment: PROCEED_TO_PAYMENT,
    Cancellation: CANCEL_BOOKING,
}


StoredAnswer = OrderReply | SkyholdError
"""The answer that Temporal keeps of a decided command: the order as it was then, or the refusal."""


class BookingClient:
    """Sends a customer's commands to the workflow of an order and returns the order after them.

    Only the ledger knows whether an order exists: a command for one that Temporal does not know is refused as closed.
    """

    def __init__(self, client: Client, *, task_queue: str = TASK_QUEUE, timeout: timedelta = COMMAND_TIMEOUT) -> None:
        self._client = client
        self._task_queue = task_queue
        self._timeout = timeout

    async def hold(self, request: HoldRequest) -> OrderReply:
        """Start the booking and return its order when the seats are held; one round trip.

        Called again with the same order id it starts nothing and returns the first outcome again.

        Raises:
            SkyholdError: the hold was refused, for the reason that the error is named after.
            WorkflowUnavailable: no answer in time; the seats may be held or not.
        """
        start: WithStartWorkflowOperation[Any, dict[str, Any]] = WithStartWorkflowOperation(
            BOOKING_WORKFLOW,
            request.to_json(),
            id=workflow_id_of(request.order_id),
            task_queue=self._task_queue,
            task_timeout=TASK_TIMEOUT,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            static_summary=f"{len(request.seats)} seats for order {request.order_id}",
            result_type=dict,
        )
        try:
            async with self._answered():
                reply: dict[str, Any] = await self._client.execute_update_with_start_workflow(
                    AWAIT_HOLD,
                    {},
                    start_workflow_operation=start,
                    id=_hold_id(request.order_id),
                    result_type=dict,
                    rpc_timeout=self._timeout,
                )
        finally:
            await _forget(start)
        return OrderReply.from_json(reply)

    async def send(self, order_id: str, command: OrderCommand, *, update_id: str | None = None) -> OrderReply:
        """Send a command to a booking and return its order after the command.

        Of an accepted payment the outcome comes later.

        Raises:
            SkyholdError: the command was refused, and nothing changed.
            WorkflowUnavailable: no answer in time; the command may have been carried out or not.
        """
        handle = self._client.get_workflow_handle(workflow_id_of(order_id))
        async with self._answered():
            reply: dict[str, Any] = await handle.execute_update(
                _UPDATES[type(command)],
                command.to_json(),
                id=update_id,
                result_type=dict,
                rpc_timeout=self._timeout,
            )
        return OrderReply.from_json(reply)

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
                reply: dict[str, Any] = await handle.get_update_handle(update_id, result_type=dict).result(
                    rpc_timeout=self._timeout
                )
            except WorkflowUpdateFailedError as failed:
                refusal = _translated(failed) if _is_refusal(failed) else None
                return refusal if isinstance(refusal, SkyholdError) else None
        return OrderReply.from_json(reply)

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
