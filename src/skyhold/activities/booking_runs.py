"""What Temporal knows of booking workflows: found by id, listed while they run, and ended for good."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from skyhold.messages import BOOKING_WORKFLOW

RPC_TIMEOUT = timedelta(seconds=5)

_STATUS = "WORKFLOW_EXECUTION_STATUS_"

_KNOWN = frozenset(WorkflowExecutionStatus.values())

_CLOSED = frozenset({"COMPLETED", "FAILED", "CANCELED", "TERMINATED", "TIMED_OUT"})
"""Whatever else a server says, a paused workflow or a status that is newer than this release, may go on."""


class AnotherNamespaceError(Exception):
    """Temporal has another namespace under our name, so what it does not know may well be running."""


NO_WORD = (RPCError, AnotherNamespaceError)
"""How Temporal says nothing about a workflow."""


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

    @property
    def is_running(self) -> bool:
        """Whether it runs, and nobody paused it."""
        return self.how == "RUNNING"


class BookingRuns:
    """Asks Temporal about the workflows of bookings on one task queue, in the namespace with this id."""

    def __init__(self, client: Client, task_queue: str, *, namespace_id: str) -> None:
        self._client = client
        self._task_queue = task_queue
        self._namespace_id = namespace_id

    async def find(self, workflow_id: str) -> BookingRun | None:
        """Return the workflow's last run, or None if our namespace says that there is none.

        The SDK's own description knows no paused workflow, so the server's answer is read as it came.

        Raises:
            RPCError, AnotherNamespaceError: Temporal does not say either; nobody may act on that.
        """
        ask = DescribeWorkflowExecutionRequest(
            namespace=self._client.namespace, execution=WorkflowExecution(workflow_id=workflow_id)
        )
        try:
            described = await self._client.workflow_service.describe_workflow_execution(
                ask, retry=True, timeout=RPC_TIMEOUT
            )
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            await self._require_own_namespace()
            return None
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

    async def _require_own_namespace(self) -> None:
        """Make sure that we asked where our workflows would be, and not a server that took the place of a lost one."""
        ask = DescribeNamespaceRequest(namespace=self._client.namespace)
        described = await self._client.workflow_service.describe_namespace(ask, retry=True, timeout=RPC_TIMEOUT)
        if described.namespace_info.id != self._namespace_id:
            raise AnotherNamespaceError


def _run_of(described: DescribeWorkflowExecutionResponse) -> BookingRun:
    info = described.workflow_execution_info
    how = WorkflowExecutionStatus.Name(info.status).removeprefix(_STATUS) if info.status in _KNOWN else "UNKNOWN"
    return BookingRun(
        info.execution.workflow_id,
        info.execution.run_id,
        is_closed=how in _CLOSED,
        how=how,
        started_at=info.start_time.ToDatetime(UTC),
        chain=info.first_run_id,
        # The attempt under way is not a failed one.
        failed_tasks=max(0, described.pending_workflow_task.attempt - 1),
    )
