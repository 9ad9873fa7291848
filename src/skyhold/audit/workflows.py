"""I6, the workflows: what Temporal runs, against the orders in the ledger that have not ended.

Owns the audit's reads of Temporal. What visibility lists is old news, so it is described by id before it is told.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest, DescribeWorkflowExecutionResponse
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from skyhold.audit.findings import Finding, Graces, Invariant, ServerAway, Sighting
from skyhold.messages import BOOKING_WORKFLOW, workflow_id_of
from skyhold.queries.audit import FINDINGS_LIMIT, AuditQueries, OrderInLedger

RPC_TIMEOUT = timedelta(seconds=5)
"""How long one question may take, with the retries of Temporal's client."""

CONCURRENCY = 25
"""How many workflows are described at once."""

BATCH = 500
"""How many orders, or workflows that run, are looked at in one turn."""

_STATUS = "WORKFLOW_EXECUTION_STATUS_"

_CLOSED = frozenset({"COMPLETED", "FAILED", "CANCELED", "TERMINATED", "TIMED_OUT"})
"""Whatever else it is, paused perhaps, it may go on."""


@dataclass(frozen=True)
class WorkflowRun:
    """The last run of a workflow: how it is, of which chain, and since when it has been running or closed."""

    workflow_id: str
    chain: str
    status: str
    is_running: bool
    since: datetime


class WorkflowReader:
    """Reads bookings' workflows: each by its id, those that run by their task queue."""

    def __init__(
        self, client: Client, *, namespace_id: str, task_queue: str, rpc_timeout: timedelta = RPC_TIMEOUT
    ) -> None:
        self.namespace_id = namespace_id
        self._client = client
        self._rpc_timeout = rpc_timeout
        self._running = (
            f"WorkflowType = '{BOOKING_WORKFLOW}' AND TaskQueue = '{task_queue}' AND ExecutionStatus = 'Running'"
        )

    async def describe(self, workflow_ids: Sequence[str]) -> list[WorkflowRun | None]:
        """Return the last run of each, None where Temporal knows none.

        Raises:
            ServerAway: Temporal does not answer.
        """
        places = asyncio.Semaphore(CONCURRENCY)

        async def describe_one(workflow_id: str) -> WorkflowRun | None:
            async with places:
                return await self._describe(workflow_id)

        tasks = [asyncio.ensure_future(describe_one(workflow_id)) for workflow_id in workflow_ids]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def running(self) -> AsyncIterator[list[str]]:
        """Give the ids of the bookings that visibility believes to run, in batches.

        Raises:
            ServerAway: Temporal does not answer.
        """
        pages = self._client.list_workflows(self._running, page_size=BATCH, rpc_timeout=self._rpc_timeout)
        while True:
            async with _answered(self._rpc_timeout):
                await pages.fetch_next_page()
            if pages.current_page:
                yield [run.id for run in pages.current_page]
            if not pages.next_page_token:
                return

    async def _describe(self, workflow_id: str) -> WorkflowRun | None:
        ask = DescribeWorkflowExecutionRequest(
            namespace=self._client.namespace, execution=WorkflowExecution(workflow_id=workflow_id)
        )
        describe = self._client.workflow_service.describe_workflow_execution
        try:
            async with _answered(self._rpc_timeout):
                # The SDK's own description fails at a status that it cannot name, as that of a paused workflow.
                return _run_of(await describe(ask, retry=True, timeout=self._rpc_timeout))
        except LookupError:
            return None


async def find_workflows(queries: AuditQueries, workflows: WorkflowReader, *, graces: Graces) -> list[Sighting]:
    """Return every open order of our namespace without a workflow that ends it in time, and every one without an order.

    Raises:
        ServerAway: Temporal does not answer.
    """
    return [
        *await _find_abandoned_orders(queries, workflows, graces),
        *await _find_stray_workflows(queries, workflows, graces),
    ]


async def _find_abandoned_orders(queries: AuditQueries, workflows: WorkflowReader, graces: Graces) -> list[Sighting]:
    sightings: list[Sighting] = []
    now, last = await queries.now(), ""
    while page := await queries.open_orders(namespace_id=workflows.namespace_id, after=last, limit=BATCH):
        runs = await workflows.describe([workflow_id_of(order.order_id) for order in page])
        for order, run in zip(page, runs, strict=True):
            if run is not None and run.is_running and run.chain == order.chain:
                sightings += _overdue(order, run, graces)
                continue
            # Of a workflow that Temporal does not know nobody can tell since when it does not.
            age = _age_of(run, now) if run is not None else timedelta(0)
            detail = f"the order is {order.status}, {_state_of(run)}"
            sightings.append(_sighting(order.order_id, order.step, detail, age, graces))
        last = page[-1].order_id
        if len(sightings) >= FINDINGS_LIMIT:
            break
    return sightings


async def _find_stray_workflows(queries: AuditQueries, workflows: WorkflowReader, graces: Graces) -> list[Sighting]:
    sightings: list[Sighting] = []
    now = await queries.now()
    async for workflow_ids in workflows.running():
        orders = await queries.orders([_order_id_of(workflow_id) for workflow_id in workflow_ids])
        suspects = [name for name in workflow_ids if _has_ended(orders.get(_order_id_of(name)))]
        for run in await workflows.describe(suspects):
            if run is None or not run.is_running:
                continue
            order_id = _order_id_of(run.workflow_id)
            order = orders.get(order_id)
            age = _age_of(run, now) if order is None else min(_age_of(run, now), order.unchanged_for)
            detail = f"its workflow is running, the order is {order.status if order else 'missing'}"
            sightings.append(_sighting(order_id, order.step if order else None, detail, age, graces))
        if len(sightings) >= FINDINGS_LIMIT:
            break
    return sightings


def _overdue(order: OrderInLedger, run: WorkflowRun, graces: Graces) -> list[Sighting]:
    """Return the order if its running workflow should have ended it; its grace counts from when it should have."""
    # What ends at this moment is no sight worth a second look.
    if order.overdue_for is None or order.overdue_for < graces.second_look:
        return []
    detail = f"the order is {order.status} past its deadline, though its workflow is {run.status}"
    return [_sighting(order.order_id, order.step, detail, order.overdue_for, graces)]


def _sighting(order_id: str, step: int | None, detail: str, age: timedelta, graces: Graces) -> Sighting:
    return Sighting(Finding(Invariant.I6, order_id, step, "workflow", detail), age, graces.workflow)


def _has_ended(order: OrderInLedger | None) -> bool:
    return order is None or order.status.is_terminal


def _state_of(run: WorkflowRun | None) -> str:
    if run is None:
        return "Temporal knows no workflow of its"
    return f"its workflow is {'of another chain' if run.is_running else run.status}"


def _age_of(run: WorkflowRun, now: datetime) -> timedelta:
    # By two servers' clocks, Temporal's and PostgreSQL's, never ours; the second look makes up for a small difference.
    return max(timedelta(0), now - run.since)


def _order_id_of(workflow_id: str) -> str:
    return workflow_id.removeprefix(workflow_id_of(""))


def _run_of(described: DescribeWorkflowExecutionResponse) -> WorkflowRun:
    info = described.workflow_execution_info
    is_named = info.status in WorkflowExecutionStatus.values()
    status = WorkflowExecutionStatus.Name(info.status).removeprefix(_STATUS) if is_named else "UNKNOWN"
    is_closed = status in _CLOSED
    since = info.close_time if is_closed else info.start_time
    return WorkflowRun(info.execution.workflow_id, info.first_run_id, status, not is_closed, since.ToDatetime(UTC))


@contextlib.asynccontextmanager
async def _answered(within: timedelta) -> AsyncIterator[None]:
    """Bound a call, its retries too; "not found" is a LookupError, whatever else keeps it from an answer is ours."""
    try:
        async with asyncio.timeout(within.total_seconds()):
            yield
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise LookupError from error
        raise ServerAway(f"Temporal does not answer: {error.status.name}") from error
    except TimeoutError as error:
        raise ServerAway("Temporal does not answer") from error
