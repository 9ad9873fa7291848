"""Bookings with separate workers for workflows and activities, so that one kind can be stopped."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta

from temporalio.client import Client
from temporalio.worker import Worker

from skyhold.activities.booking_runs import BookingRuns
from skyhold.bootstrap.temporal import describe_namespace
from skyhold.bootstrap.workers import make_activities
from skyhold.domain.orders import Policy
from skyhold.postgresql.pools import Pool
from skyhold.stores.seat_locks import SeatLocks
from skyhold.worker import WORKFLOWS, workflow_runner
from skyhold.workflows.booking_client import BookingClient
from support.booking_commands import BookingCommands
from support.bookings import NAMESPACE_ID, Bookings
from support.gateways import Act, ScriptedGateway
from support.patience import patient_redis


class SplitWorld(Bookings):
    """Bookings whose activities continue while the worker for workflows is stopped."""

    def workflow_worker(self, *workflows: type) -> Worker:
        """Return a worker for these workflows, or for those of the product."""
        return Worker(
            self.client,
            task_queue=self.task_queue,
            workflows=list(workflows or WORKFLOWS),
            activities=self.activities,
            no_remote_activities=True,
            workflow_runner=workflow_runner(is_sandboxed=False),
        )


@contextlib.asynccontextmanager
async def split_world(
    client: Client,
    pool: Pool,
    redis_url: str,
    script: tuple[Act, ...] = (Act.APPROVE,),
    *,
    policy: Policy | None = None,
) -> AsyncIterator[SplitWorld]:
    """Run the activities, and yield the world, without a worker for its workflows yet."""
    task_queue, gateway, redis = f"queue-{uuid.uuid4()}", ScriptedGateway(pool, script), patient_redis(redis_url)
    world = SplitWorld(
        client=client,
        pool=pool,
        redis=redis,
        gateway=gateway,
        bookings=BookingCommands(BookingClient(client, task_queue=task_queue, timeout=timedelta(seconds=10))),
        task_queue=task_queue,
    )
    world.activities = make_activities(
        pool,
        SeatLocks(redis),
        gateway,
        lambda _: None,
        runs=BookingRuns(client, task_queue, namespace_id=(await describe_namespace(client))[0]),
        policy=policy or Policy(payment_attempts=1),
        namespace_id=NAMESPACE_ID,
    )
    try:
        async with Worker(client, task_queue=task_queue, activities=world.activities):
            yield world
    finally:
        await gateway.stop()
        await redis.aclose()
