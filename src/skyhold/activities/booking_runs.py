"""Booking workflows as Temporal knows them: find one by id, list the running ones, terminate one."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, WorkflowExecutionStatus, WorkflowTaskFailedCause
from temporalio.api.failure.v1 import Failure
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    GetWorkflowExecutionHistoryReverseRequest,
)
from temporalio.client import Client, WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.service import RPCError, RPCStatusCode

from skyhold.activities.failing_steps import FailingStep
from skyhold.messages import BOOKING_WORKFLOW, FAILING_STEP

RPC_TIMEOUT = timedelta(seconds=5)

QUERY_TIMEOUT = timedelta(seconds=10)
"""A query waits while a step is retried, up to the timeout of a workflow task."""

LAST_EVENTS = 50
"""Number of events searched for the last failure of a workflow task."""

_STATUS = "WORKFLOW_EXECUTION_STATUS_"

_KNOWN = frozenset(WorkflowExecutionStatus.values())

_CLOSED = frozenset({"COMPLETED", "FAILED", "CANCELED", "TERMINATED", "TIMED_OUT"})
"""In any other status (paused, or one that is newer than this release) the workflow may continue."""


class AnotherNamespaceError(Exception):
    """Temporal has another namespace under our name, so a workflow that it does not know may well be running."""


class NoWorkerAnsweredError(Exception):
    """No worker on the task queue of a workflow answered a query in time."""


_NO_WORKER = frozenset({RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED, RPCStatusCode.FAILED_PRECONDITION})
"""Status of a query without a worker: its own timeout, the server's, or at once if none has polled recently."""


UNREACHABLE_ERRORS = (RPCError, AnotherNamespaceError)
"""Errors after which the state of a workflow in Temporal is unknown."""


@dataclass(frozen=True)
class BookingRun:
    """The last run of a booking's workflow; `chain` is the first run's id, `failed_tasks` those in a row.

    `failing` is an activity that Temporal knows to fail; local activities are known only to their worker.
    """

    workflow_id: str
    run_id: str
    is_closed: bool
    how: str
    started_at: datetime
    chain: str = ""
    failed_tasks: int = 0
    failing: FailingStep | None = None

    @property
    def is_running(self) -> bool:
        """True while it runs and is not paused."""
        return self.how == "RUNNING"


class BookingRuns:
    """Queries Temporal for the booking workflows on one task queue, in the namespace with this id."""

    def __init__(self, client: Client, task_queue: str, *, namespace_id: str) -> None:
        self._client = client
        self._task_queue = task_queue
        self._namespace_id = namespace_id

    async def find(self, workflow_id: str) -> BookingRun | None:
        """Return the workflow's last run, or None if it is certain that our namespace has none.

        The SDK's own description has no status for a paused workflow, so the server's raw reply is read.

        Raises:
            RPCError, AnotherNamespaceError: the state is unknown, and the caller must not act on it.
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
        """Yield the runs that visibility lists as open; it lags, so callers check each by id before acting on it."""
        query = f"WorkflowType='{BOOKING_WORKFLOW}' AND ExecutionStatus='Running' AND TaskQueue='{self._task_queue}'"
        async for run in self._client.list_workflows(query, limit=limit, rpc_timeout=RPC_TIMEOUT):
            yield BookingRun(run.id, run.run_id, is_closed=False, how="RUNNING", started_at=run.start_time)

    async def terminate(self, run: BookingRun, reason: str) -> None:
        """Terminate exactly this run, not a later one of the workflow; a run that no longer exists is fine."""
        handle = self._client.get_workflow_handle(run.workflow_id, run_id=run.run_id)
        try:
            await handle.terminate(reason=reason, rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise

    async def find_failing_step(self, run: BookingRun) -> FailingStep | None:
        """Return the step that blocks a running workflow, as far as Temporal or its worker knows it.

        Raises:
            NoWorkerAnsweredError: no worker answered the query in time.
        """
        if run.failing is not None:
            return run.failing
        with contextlib.suppress(RPCError, WorkflowQueryFailedError, WorkflowQueryRejectedError):
            if run.failed_tasks:
                return await self._last_task_failure(run)
            handle = self._client.get_workflow_handle(run.workflow_id, run_id=run.run_id)
            try:
                found = await handle.query(FAILING_STEP, rpc_timeout=QUERY_TIMEOUT)
            except RPCError as error:
                if error.status in _NO_WORKER:
                    raise NoWorkerAnsweredError from error
                raise
            return FailingStep(**found) if found else None
        return None

    async def _last_task_failure(self, run: BookingRun) -> FailingStep | None:
        ask = GetWorkflowExecutionHistoryReverseRequest(
            namespace=self._client.namespace,
            execution=WorkflowExecution(workflow_id=run.workflow_id, run_id=run.run_id),
            maximum_page_size=LAST_EVENTS,
        )
        service = self._client.workflow_service
        page = await service.get_workflow_execution_history_reverse(ask, retry=True, timeout=RPC_TIMEOUT)
        for event in page.history.events:
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
                failed = event.workflow_task_failed_event_attributes
                cause = WorkflowTaskFailedCause.Name(failed.cause).removeprefix("WORKFLOW_TASK_FAILED_CAUSE_")
                kind = _kind_of(failed.failure)
                return FailingStep("its workflow task", f"{cause} {kind}".strip(), run.failed_tasks)
        return None

    async def _require_own_namespace(self) -> None:
        """Check that the namespace is the one of our workflows, not that of a server which replaced a lost one.

        Raises:
            AnotherNamespaceError: its id differs.
        """
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
        failing=_failing_of(described),
    )


def _failing_of(described: DescribeWorkflowExecutionResponse) -> FailingStep | None:
    for pending in described.pending_activities:
        if pending.HasField("last_failure"):
            return FailingStep(pending.activity_type.name, _kind_of(pending.last_failure), pending.attempt)
    return None


def _kind_of(failure: Failure) -> str:
    """Return the class of an error that Temporal keeps; its message is left out, since it may contain values."""
    if failure.HasField("timeout_failure_info"):
        return "TimeoutError"
    return failure.application_failure_info.type or "an error without a name"
