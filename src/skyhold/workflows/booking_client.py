"""The only door from the outside to Temporal: ids, start and update calls, and refusals made domain errors again."""

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

from skyhold.domain.errors import ERRORS, OrderClosed, SkyholdError, WorkflowUnavailable
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
"""After this a caller is told that the outcome is not known."""

CONNECT_MARGIN = timedelta(seconds=0.2)
"""What is waited beyond that for a connection that is only now being made, which the SDK does without a bound."""

_CONNECT_FAILED = "Failed client connect"


@dataclass(frozen=True)
class StoredAnswer:
    """The answer that Temporal keeps of a command that was decided: the order as it then was, or the refusal."""

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
    """Sends a customer's commands to the booking of an order and returns the order as it is after them.

    Whether an order exists is the ledger's to say: a command for one that Temporal does not know is refused as closed.
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

        Asked again with the same order id it starts nothing and gives the first outcome again.

        Raises:
            SkyholdError: the hold was refused, for the reason that the error is named after.
            WorkflowUnavailable: nobody answered in time; the seats may be held or not.
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
            WorkflowUnavailable: nobody answered in time; the change may have been made or not.
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
        """Have a payment accepted; its outcome comes later.

        Raises:
            SkyholdError: the payment was not accepted.
            WorkflowUnavailable: nobody answered in time; the payment may have been accepted or not.
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
        """Give the seats back.

        Raises:
            SkyholdError: it is too late for that.
            WorkflowUnavailable: nobody answered in time; the order may be cancelled or not.
        """
        body = _optional(version=version, giveUpAt=rfc3339(give_up_at))
        return await self._update(order_id, CANCEL_BOOKING, body, update_id)

    async def find_answer(self, order_id: str, update_id: str | None = None) -> StoredAnswer | None:
        """Return the answer that this command got before, by default the hold; None if there is none yet.

        A command has no answer while it is under way, or if it never arrived. Nor does one that the workflow rejected
        without judging it, or left behind when it ended: such a command is judged when it is sent again.

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
        """Return the run in which the update was completed, or None; it is not waited for."""
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
        """Bound the call that stands in the block, and say what its error means in the words of the domain."""
        try:
            async with asyncio.timeout((self._timeout + CONNECT_MARGIN).total_seconds()):
                yield
        except Exception as error:
            raise _translated(error) from error


async def _forget(start: WithStartWorkflowOperation[Any, Any]) -> None:
    """Look at the start's own outcome, so that asyncio does not complain in the log of a failure that nobody read.

    It may be a cancellation of the SDK's making, which is not ours, and of a call that found no connection there is
    none, ever.
    """
    looking = asyncio.ensure_future(start.workflow_handle())
    looking.add_done_callback(lambda seen: None if seen.cancelled() else seen.exception())
    await asyncio.wait({looking}, timeout=0)
    looking.cancel()


_CLOSED = frozenset({RPCStatusCode.NOT_FOUND, RPCStatusCode.ALREADY_EXISTS})
"""What Temporal says of a booking that has ended; it says NOT_FOUND also of one it never knew."""


def _translated(error: Exception) -> Exception:
    """Return what the error means in the words of the domain, or the error itself if it means a fault."""
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
    """Say whether nobody answered, or nobody was found."""
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
    """Say whether the workflow itself refused the update, by a rule."""
    return isinstance(failed.cause, ApplicationError) and failed.cause.type in ERRORS


def _refusal_of(cause: ApplicationError) -> Exception:
    error: type[SkyholdError] | None = ERRORS.get(cause.type or "")
    if error is None:
        # Temporal's own, for an update that was accepted when the workflow ended.
        return OrderClosed() if cause.type == "AcceptedUpdateCompletedWorkflow" else cause
    fields = cause.details[0] if cause.details and isinstance(cause.details[0], dict) else {}
    return error(cause.message, **fields)


def _hold_id(order_id: str) -> str:
    """Return the id of the update by which the hold of an order is awaited, the same at every time of asking."""
    return f"hold-{order_id}"


def _optional(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
