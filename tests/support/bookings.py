"""An in-process worker over real servers, and helpers for bookings: start, status, end, the ledger's rows."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import secrets
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from redis.asyncio import Redis
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, ResetReapplyExcludeType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.testing import ActivityEnvironment

from skyhold.activities.booking_runs import BookingRuns
from skyhold.bootstrap.reconciliation import reconciliation_of
from skyhold.bootstrap.temporal import describe_namespace
from skyhold.bootstrap.workers import make_activities
from skyhold.domain.orders import Policy
from skyhold.events.feed import Publisher
from skyhold.messages import BOOKING_STATUS, BOOKING_WORKFLOW, RECONCILIATION_WORKFLOW, workflow_id_of
from skyhold.postgresql.pools import Pool
from skyhold.reconciliation_messages import Reconciliation
from skyhold.stores.seat_locks import SeatLocks
from skyhold.worker import build_worker
from skyhold.workflows.booking_client import BookingClient
from support.booking_commands import BookingCommands
from support.gateways import Act, ScriptedGateway
from support.patience import patient_redis

FL101 = "550e8400-e29b-41d4-a716-446655440001"
FL102 = "550e8400-e29b-41d4-a716-446655440002"
SK900 = "550e8400-e29b-41d4-a716-446655440005"

NAMESPACE_ID = "namespace-of-tests"

T = TypeVar("T")

_order_numbers = itertools.count(1)
_run = secrets.token_hex(3)


def new_order_id() -> str:
    """Return an order id that is unique among all tests and runs."""
    return f"test-{_run}-{next(_order_numbers)}"


@dataclass
class Bookings:
    """Bookings on real servers, with a worker in this process."""

    client: Client
    pool: Pool
    redis: Redis
    gateway: ScriptedGateway
    bookings: BookingCommands
    task_queue: str
    policy: Policy = field(default_factory=Policy)
    activities: list[Callable[..., Any]] = field(default_factory=list)

    async def start(self, seats: Sequence[str], *, order_id: str | None = None, **more: Any) -> Booking:
        """Start a booking by its input alone, as `temporal workflow start` does."""
        order_id = order_id or new_order_id()
        body = {"orderId": order_id, "flightId": FL101, "seats": list(seats)} | more
        return await self.start_raw(order_id, body)

    async def start_raw(self, order_id: str, *payloads: Any, workflow_id: str | None = None, **options: Any) -> Booking:
        handle = await self.client.start_workflow(
            BOOKING_WORKFLOW,
            args=payloads,
            id=workflow_id or workflow_id_of(order_id),
            task_queue=self.task_queue,
            task_timeout=timedelta(seconds=3),
            **options,
        )
        return Booking(self, order_id, handle)

    async def hold(self, seats: Sequence[str], *, flight_id: str = FL101, **more: Any) -> Booking:
        """Hold seats as the API does, and return after they are held."""
        order_id = new_order_id()
        await self.bookings.hold(order_id, flight_id, seats, **more)
        return Booking(self, order_id, self.client.get_workflow_handle(workflow_id_of(order_id)))

    async def reconcile(self, *, is_whole: bool = True) -> Reconciliation:
        """Run the reconciler once, as its schedule does."""
        result = await self.client.execute_workflow(
            RECONCILIATION_WORKFLOW, is_whole, id=f"reconciliation-{uuid.uuid4()}", task_queue=self.task_queue
        )
        return reconciliation_of(result)

    async def run_activity(self, name: str, ask: Any) -> Any:
        """Run one activity outside of a workflow."""
        activities = {getattr(each, "__temporal_activity_definition").name: each for each in self.activities}
        return await ActivityEnvironment().run(activities[name], ask)

    async def seats_of(self, order_id: str) -> dict[str, str]:
        rows = await self.pool.fetch("SELECT seat_id, status FROM seats WHERE order_id = $1 ORDER BY seat_id", order_id)
        return {row["seat_id"]: row["status"] for row in rows}

    async def locks(self) -> dict[str, str]:
        keys = [key async for key in self.redis.scan_iter("seat:lock:*")]
        return {str(key).rpartition(":")[2]: str(await self.redis.get(key)) for key in keys}


class OpenWorld(Protocol):
    async def __call__(self, *script: Act, late: float = 0.0, cache: int = 1000, **policy: float) -> Bookings: ...


@dataclass
class Booking:
    """One booking under test."""

    world: Bookings
    order_id: str
    handle: WorkflowHandle[Any, Any]

    async def status(self) -> dict[str, Any]:
        answer: dict[str, Any] = await self.handle.query(BOOKING_STATUS)
        return answer

    async def result(self, *, within: float = 30.0) -> dict[str, Any]:
        async with asyncio.timeout(within):
            result: dict[str, Any] = await self.handle.result()
            return result

    async def row(self) -> dict[str, Any]:
        row = await self.world.pool.fetchrow("SELECT * FROM orders WHERE id = $1", self.order_id)
        assert row is not None, "the order has no row"
        return dict(row)

    async def seats(self) -> dict[str, str]:
        return await self.world.seats_of(self.order_id)

    async def path(self) -> list[str]:
        rows = await self.world.pool.fetch(
            "SELECT status FROM order_events WHERE order_id = $1 ORDER BY seq", self.order_id
        )
        return [row["status"] for row in rows]

    async def payment(self) -> dict[str, Any] | None:
        row = await self.world.pool.fetchrow("SELECT * FROM payments WHERE order_id = $1", self.order_id)
        return dict(row) if row else None

    async def verdicts(self) -> list[str]:
        rows = await self.world.pool.fetch(
            "SELECT verdict FROM payment_attempts WHERE order_id = $1 AND verdict IS NOT NULL ORDER BY attempt",
            self.order_id,
        )
        return [row["verdict"] for row in rows]

    async def captures(self) -> tuple[int, int]:
        """Return the captures and refunds in the gateway's own books."""
        row = await self.world.pool.fetchrow(
            """SELECT coalesce(sum(captures), 0)::int AS captures, coalesce(sum(refunds), 0)::int AS refunds
               FROM gateway_statement WHERE key = (SELECT payment_key FROM orders WHERE id = $1)""",
            self.order_id,
        )
        assert row is not None
        return row["captures"], row["refunds"]

    async def reset(self, *, to_first: bool, forget_messages: bool) -> Booking:
        """Reset the workflow to its first or its last task, with or without the messages after it."""
        client = self.world.client
        history = await self.handle.fetch_history()
        tasks = [e.event_id for e in history.events if e.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED]
        messages = [
            ResetReapplyExcludeType.RESET_REAPPLY_EXCLUDE_TYPE_SIGNAL,
            ResetReapplyExcludeType.RESET_REAPPLY_EXCLUDE_TYPE_UPDATE,
        ]
        reply = await client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=self.handle.id, run_id=history.run_id),
                reason="a test",
                workflow_task_finish_event_id=tasks[0] if to_first else tasks[-1],
                request_id=f"reset-{uuid.uuid4()}",
                reset_reapply_exclude_types=messages if forget_messages else [],
                identity=client.identity,
            )
        )
        return Booking(self.world, self.order_id, client.get_workflow_handle(self.handle.id, run_id=reply.run_id))

    async def terminate(self) -> None:
        """Terminate its workflow, and wait until Temporal's list of running workflows, which surveys read, omits it."""
        await self.handle.terminate("by mistake")
        query = f"WorkflowId='{self.handle.id}' AND ExecutionStatus='Running'"

        async def is_listed_no_more() -> bool | None:
            return (await self.world.client.count_workflows(query)).count == 0 or None

        await until(is_listed_no_more, what=f"{self.order_id} to be off the list of those that run")

    async def until_status(self, *statuses: str, within: float = 20.0) -> dict[str, Any]:
        """Wait until the order has one of the statuses in the ledger."""

        async def row_if_there() -> dict[str, Any] | None:
            row = await self.world.pool.fetchrow("SELECT * FROM orders WHERE id = $1", self.order_id)
            return dict(row) if row and row["status"] in statuses else None

        return await until(row_if_there, within=within, what=f"{self.order_id} to become {statuses}")


async def until(check: Callable[[], Awaitable[T | None]], *, within: float = 20.0, what: str = "the condition") -> T:
    """Return the result of the check as soon as it is truthy."""
    deadline = asyncio.get_running_loop().time() + within
    while True:
        if found := await check():
            return found
        assert asyncio.get_running_loop().time() < deadline, f"waited {within} s for {what}"
        await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def running_bookings(
    client: Client,
    pool: Pool,
    redis_url: str,
    *,
    policy: Policy | None = None,
    gateway: ScriptedGateway | None = None,
    task_queue: str | None = None,
    max_cached_workflows: int = 1000,
    has_status_attribute: bool = False,
) -> AsyncIterator[Bookings]:
    """Run a worker in this process, on a task queue of its own, in the sandbox."""
    policy = policy or Policy()
    gateway = gateway or ScriptedGateway(pool)
    task_queue = task_queue or f"queue-{uuid.uuid4()}"
    redis = patient_redis(redis_url)
    publisher = Publisher(redis)
    activities = make_activities(
        pool,
        SeatLocks(redis),
        gateway,
        publisher.publish,
        runs=BookingRuns(client, task_queue, namespace_id=(await describe_namespace(client))[0]),
        policy=policy,
        namespace_id=NAMESPACE_ID,
        has_status_attribute=has_status_attribute,
    )
    # The sandbox imports the workflow again. On some versions of Python 3.11 a garbage collection during an import can
    # break it, and tests leave more garbage than a worker ever does.
    gc.disable()
    try:
        worker = build_worker(
            client, activities, task_queue=task_queue, is_sandboxed=True, max_cached_workflows=max_cached_workflows
        )
    finally:
        gc.enable()
    world = Bookings(
        client=client,
        pool=pool,
        redis=redis,
        gateway=gateway,
        bookings=BookingCommands(BookingClient(client, task_queue=task_queue, timeout=timedelta(seconds=10))),
        task_queue=task_queue,
        policy=policy,
        activities=activities,
    )
    try:
        async with worker:
            yield world
    finally:
        await gateway.stop()
        await publisher.aclose()
        await redis.aclose()
