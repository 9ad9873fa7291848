"""I6, the workflows: Temporal's running workflows, compared with the open orders in the ledger.

Owns the audit's reads of Temporal. Visibility lags, so each workflow that it lists is described by id before it counts.
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

from skyhold.audit.findings import Graces, Invariant, ServerAway, Sighting, Violation
from skyhold.messages import BOOKING_WORKFLOW, workflow_id_of
from skyhold.queries.audit import FINDINGS_LIMIT, AuditQueries, OrderInLedger

RPC_TIMEOUT = timedelta(seconds=5)
"""Timeout of one call, including the retries of Temporal's client."""

CONCURRENCY = 25
"""Number of workflows that are described concurrently."""

BATCH = 500
"""Number of orders, or of running workflows, per page."""

_STATUS = "WORKFLOW_EXECUTION_STATUS_"

_CLOSED = frozenset({"COMPLETED", "FAILED", "CANCELED", "TERMINATED", "TIMED_OUT"})
"""In any other status, such as paused, the workflow may continue."""


@dataclass(frozen=True)
class WorkflowRun:
    """The last run of a workflow: its chain, its status, and the time since which it has been running or closed."""

    workflow_id: str
    chain: str
    status: str
    is_running: bool
    since: datetime


class WorkflowReader:
    """Reads booking workflows: each by its id, the running ones by their task queue."""

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
        """Yield the ids of the bookings that visibility lists as running, in batches.

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
                # The SDK's own description fails on a status that it does not know, such as paused.
                return _run_of(await describe(ask, retry=True, timeout=self._rpc_timeout))
        except LookupError:
            return None


async def find_workflows(queries: AuditQueries, workflows: WorkflowReader, *, graces: Graces) -> list[Sighting]:
    """Return open orders of our namespace without a workflow that ends them in time, and workflows without an order.

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
            # It is unknown how long a workflow has been missing in Temporal.
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
    """Return the order if its running workflow should have ended it; its grace counts from that time."""
    # An order that is just ending needs no recheck.
    if order.overdue_for is None or order.overdue_for < graces.second_look:
        return []
    detail = f"the order is {order.status} past its deadline, though its workflow is {run.status}"
    return [_sighting(order.order_id, order.step, detail, order.overdue_for, graces)]


def _sighting(order_id: str, step: int | None, detail: str, age: timedelta, graces: Graces) -> Sighting:
    return Sighting(Violation(Invariant.I6, order_id, step, "workflow", detail), age, graces.workflow)


def _has_ended(order: OrderInLedger | None) -> bool:
    return order is None or order.status.is_terminal


def _state_of(run: WorkflowRun | None) -> str:
    if run is None:
        return "Temporal does not know its workflow"
    return f"its workflow is {'of another chain' if run.is_running else run.status}"


def _age_of(run: WorkflowRun, now: datetime) -> timedelta:
    # By the clocks of Temporal and PostgreSQL, never ours; the recheck makes up for a small difference.
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
    """Limit the time of a call with its retries; raise LookupError for "not found", ServerAway for other failures."""
    try:
        async with asyncio.timeout(within.total_seconds()):
            yield
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise LookupError from error
        raise ServerAway(f"Temporal does not answer: {error.status.name}") from error
    except TimeoutError as error:
        raise ServerAway("Temporal does not answer") from error
