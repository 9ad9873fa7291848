"""I6, the workflows: Temporal's running workflows, compared with the open orders in the ledger.

Owns the audit's reads of Temporal. Visibility lags, so each workflow that it lists is described by id before it counts.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

from temporalio.client import Client
from temporalio.service import RPCError

from skyhold.audit.findings import Graces, Invariant, ServerAway, Sighting, Violation
from skyhold.messages import workflow_id_of
from skyhold.queries.audit import FINDINGS_LIMIT, AuditQueries, OrderInLedger
from skyhold.readers.booking_runs import RPC_TIMEOUT, BookingRun, BookingRunReader

CONCURRENCY = 25
"""Number of workflows that are described concurrently."""

BATCH = 500
"""Number of orders per page."""


class WorkflowReader:
    """Reads booking workflows: each by its id, the running ones by their task queue."""

    def __init__(
        self, client: Client, *, namespace_id: str, task_queue: str, rpc_timeout: timedelta = RPC_TIMEOUT
    ) -> None:
        self.namespace_id = namespace_id
        self._runs = BookingRunReader(client, task_queue, rpc_timeout=rpc_timeout)
        self._rpc_timeout = rpc_timeout

    async def describe(self, workflow_ids: Sequence[str]) -> list[BookingRun | None]:
        """Return the last run of each, None where Temporal knows none.

        Raises:
            ServerAway: Temporal does not answer.
        """
        places = asyncio.Semaphore(CONCURRENCY)

        async def describe_one(workflow_id: str) -> BookingRun | None:
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
        pages = self._runs.running()
        while True:
            async with _answered(self._rpc_timeout):
                page = await anext(pages, None)
            if page is None:
                return
            yield [run.workflow_id for run in page]

    async def _describe(self, workflow_id: str) -> BookingRun | None:
        async with _answered(self._rpc_timeout):
            return await self._runs.find(workflow_id)


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
            if run is not None and not run.is_closed and run.chain == order.chain:
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
            if run is None or run.is_closed:
                continue
            order_id = _order_id_of(run.workflow_id)
            order = orders.get(order_id)
            age = _age_of(run, now) if order is None else min(_age_of(run, now), order.unchanged_for)
            detail = f"its workflow is running, the order is {order.status if order else 'missing'}"
            sightings.append(_sighting(order_id, order.step if order else None, detail, age, graces))
        if len(sightings) >= FINDINGS_LIMIT:
            break
    return sightings


def _overdue(order: OrderInLedger, run: BookingRun, graces: Graces) -> list[Sighting]:
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


def _state_of(run: BookingRun | None) -> str:
    if run is None:
        return "Temporal does not know its workflow"
    return f"its workflow is {run.status if run.is_closed else 'of another chain'}"


def _age_of(run: BookingRun, now: datetime) -> timedelta:
    # By the clocks of Temporal and PostgreSQL, never ours; the recheck makes up for a small difference.
    return max(timedelta(0), now - (run.closed_at or run.started_at))


def _order_id_of(workflow_id: str) -> str:
    return workflow_id.removeprefix(workflow_id_of(""))


@contextlib.asynccontextmanager
async def _answered(within: timedelta) -> AsyncIterator[None]:
    """Limit the time of a call with its retries; raise ServerAway for failures."""
    try:
        async with asyncio.timeout(within.total_seconds()):
            yield
    except RPCError as error:
        raise ServerAway(f"Temporal does not answer: {error.status.name}") from error
    except TimeoutError as error:
        raise ServerAway("Temporal does not answer") from error
