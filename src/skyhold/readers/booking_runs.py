"""Booking workflows as Temporal knows them: the last run of each by its id, and the running ones by task queue."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.failure.v1 import Failure
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest, DescribeWorkflowExecutionResponse
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from skyhold.messages import BOOKING_WORKFLOW

RPC_TIMEOUT = timedelta(seconds=5)

PAGE_SIZE = 500
"""Number of running workflows per page."""

_STATUS = "WORKFLOW_EXECUTION_STATUS_"

_KNOWN = frozenset(WorkflowExecutionStatus.values())

_CLOSED = frozenset({"COMPLETED", "FAILED", "CANCELED", "TERMINATED", "TIMED_OUT"})
"""In any other status (paused, or one that is newer than this release) the workflow may continue."""


@dataclass(frozen=True)
class FailingStep:
    """An activity whose last attempt failed, and the classes of its error and of that error's cause."""

    step: str
    error: str
    attempt: int


@dataclass(frozen=True)
class BookingRun:
    """The last run of a booking's workflow; `chain` is the first run's id, `failed_tasks` those in a row.

    `failing` is an activity that Temporal knows to fail; local activities are known only to their worker. Of a run that
    was only listed, `chain`, `failed_tasks` and `failing` are unknown.
    """

    workflow_id: str
    run_id: str
    status: str
    started_at: datetime
    closed_at: datetime | None = None
    chain: str = ""
    failed_tasks: int = 0
    failing: FailingStep | None = None

    @property
    def is_closed(self) -> bool:
        """True if it cannot continue."""
        return self.status in _CLOSED

    @property
    def is_running(self) -> bool:
        """True while it runs and is not paused."""
        return self.status == "RUNNING"


class BookingRunReader:
    """Reads the booking workflows of one task queue in the client's namespace."""

    def __init__(self, client: Client, task_queue: str, *, rpc_timeout: timedelta = RPC_TIMEOUT) -> None:
        self._client = client
        self._rpc_timeout = rpc_timeout
        self._running = (
            f"WorkflowType = '{BOOKING_WORKFLOW}' AND TaskQueue = '{task_queue}' AND ExecutionStatus = 'Running'"
        )

    async def find(self, workflow_id: str) -> BookingRun | None:
        """Return the workflow's last run, or None if the server knows none.

        The SDK's own description has no status for a paused workflow, so the server's raw reply is read.

        Raises:
            RPCError: the state is unknown.
        """
        ask = DescribeWorkflowExecutionRequest(
            namespace=self._client.namespace, execution=WorkflowExecution(workflow_id=workflow_id)
        )
        service = self._client.workflow_service
        try:
            described = await service.describe_workflow_execution(ask, retry=True, timeout=self._rpc_timeout)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return None
        return _run_of(described)

    async def running(self) -> AsyncIterator[list[BookingRun]]:
        """Yield pages of the runs that visibility lists as open; it lags, so each counts only after it was found by id.

        Raises:
            RPCError: the server does not answer.
        """
        pages = self._client.list_workflows(self._running, page_size=PAGE_SIZE, rpc_timeout=self._rpc_timeout)
        while True:
            await pages.fetch_next_page()
            if pages.current_page:
                yield [BookingRun(run.id, run.run_id, "RUNNING", run.start_time) for run in pages.current_page]
            if not pages.next_page_token:
                return


def error_class_of(failure: Failure) -> str:
    """Return the class of an error that Temporal keeps; its message is left out, since it may contain values."""
    if failure.HasField("timeout_failure_info"):
        return "TimeoutError"
    return failure.application_failure_info.type or "an error without a name"


def _run_of(described: DescribeWorkflowExecutionResponse) -> BookingRun:
    info = described.workflow_execution_info
    status = WorkflowExecutionStatus.Name(info.status).removeprefix(_STATUS) if info.status in _KNOWN else "UNKNOWN"
    return BookingRun(
        info.execution.workflow_id,
        info.execution.run_id,
        status,
        info.start_time.ToDatetime(UTC),
        info.close_time.ToDatetime(UTC) if status in _CLOSED else None,
        chain=info.first_run_id,
        # The attempt under way is not a failed one.
        failed_tasks=max(0, described.pending_workflow_task.attempt - 1),
        failing=_failing_of(described),
    )


def _failing_of(described: DescribeWorkflowExecutionResponse) -> FailingStep | None:
    for pending in described.pending_activities:
        if pending.HasField("last_failure"):
            return FailingStep(pending.activity_type.name, error_class_of(pending.last_failure), pending.attempt)
    return None
