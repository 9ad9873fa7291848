"""What Temporal knows of booking workflows: found by id, listed while they run, and ended for good."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from skyhold.messages import BOOKING_WORKFLOW

RPC_TIMEOUT = timedelta(seconds=5)

_CLOSED = frozenset(WorkflowExecutionStatus) - {
    WorkflowExecutionStatus.RUNNING,
    WorkflowExecutionStatus.CONTINUED_AS_NEW,
}


@dataclass(frozen=True)
class BookingRun:
    """The last run of a booking's workflow; `chain` is the first run's id, `failed_tasks` those in a row."""

    workflow_id: str
    run_id: str
    is_closed: bool
    how: str
    started_at: datetime
    chain: str = ""
    failed_tasks: int = 0


class BookingRuns:
    """Asks Temporal about the workflows of bookings on one task queue."""

    def __init__(self, client: Client, task_queue: str) -> None:
        self._client = client
        self._task_queue = task_queue

    async def find(self, workflow_id: str) -> BookingRun | None:
        """Return the workflow's last run, or None if Temporal says that there is none.

        Raises:
            RPCError: Temporal does not say either; nobody may act on that.
        """
        try:
            described = await self._client.get_workflow_handle(workflow_id).describe(rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        return _run_of(described)

    async def running(self, *, limit: int) -> AsyncIterator[BookingRun]:
        """Give the runs that visibility takes for open: it is late, so each is looked at by id before it counts."""
        query = f"WorkflowType='{BOOKING_WORKFLOW}' AND ExecutionStatus='Running' AND TaskQueue='{self._task_queue}'"
        async for run in self._client.list_workflows(query, limit=limit, rpc_timeout=RPC_TIMEOUT):
            yield BookingRun(run.id, run.run_id, is_closed=False, how="RUNNING", started_at=run.start_time)

    async def terminate(self, run: BookingRun, reason: str) -> None:
        """End this very run, and not one that may have begun after it; one that is gone is as good."""
        handle = self._client.get_workflow_handle(run.workflow_id, run_id=run.run_id)
        try:
            await handle.terminate(reason=reason, rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise


def _run_of(described: WorkflowExecutionDescription) -> BookingRun:
    status = described.status
    # The attempt under way is not a failed one.
    attempt = described.raw_description.pending_workflow_task.attempt
    return BookingRun(
        described.id,
        described.run_id,
        is_closed=status in _CLOSED,
        how=status.name if status is not None else "unknown",
        started_at=described.start_time,
        chain=described.raw_description.workflow_execution_info.first_run_id,
        failed_tasks=max(0, attempt - 1),
    )
