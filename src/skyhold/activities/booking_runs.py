"""Booking workflows in Temporal, as the reconciler deals with them: find, list, terminate, ask why one is stuck."""

from __future__ import annotations

import contextlib
from datetime import timedelta

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    GetWorkflowExecutionHistoryReverseRequest,
)
from temporalio.client import Client, WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.service import RPCError, RPCStatusCode

from skyhold.messages import FAILING_STEP
from skyhold.readers.booking_runs import RPC_TIMEOUT, BookingRun, BookingRunReader, FailingStep, error_class_of

QUERY_TIMEOUT = timedelta(seconds=10)
"""A query waits while a step is retried, up to the timeout of a workflow task."""

LAST_EVENTS = 50
"""Number of events searched for the last failure of a workflow task."""


class AnotherNamespaceError(Exception):
    """Temporal has another namespace under our name, so a workflow that it does not know may well be running."""


class NoWorkerAnsweredError(Exception):
    """No worker on the task queue of a workflow answered a query in time."""


_NO_WORKER = frozenset({RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED, RPCStatusCode.FAILED_PRECONDITION})
"""Status of a query without a worker: its own timeout, the server's, or at once if none has polled recently."""


UNREACHABLE_ERRORS = (RPCError, AnotherNamespaceError)
"""Errors after which the state of a workflow in Temporal is unknown."""


class BookingRuns:
    """Queries Temporal for the booking workflows on one task queue, in the namespace with this id."""

    def __init__(self, client: Client, task_queue: str, *, namespace_id: str) -> None:
        self._client = client
        self._reader = BookingRunReader(client, task_queue)
        self._namespace_id = namespace_id

    async def find(self, workflow_id: str) -> BookingRun | None:
        """Return the workflow's last run, or None if it is certain that our namespace has none.

        Raises:
            RPCError, AnotherNamespaceError: the state is unknown, and the caller must not act on it.
        """
        run = await self._reader.find(workflow_id)
        if run is None:
            await self._require_own_namespace()
        return run

    async def running(self, *, limit: int) -> list[BookingRun]:
        """Return so many of the runs that visibility lists as open; callers find each by its id before acting on it."""
        runs: list[BookingRun] = []
        async for page in self._reader.running():
            runs += page
            if len(runs) >= limit:
                break
        return runs[:limit]

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
                kind = error_class_of(failed.failure)
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
