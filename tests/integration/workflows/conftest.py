from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import Client

from skyhold.domain.orders import Policy
from skyhold.postgresql.pools import Pool
from skyhold.stores.seat_locks import open_redis
from skyhold.workflows.booking_client import BookingClient
from skyhold_local.embedded.servers import Servers
from support.booking_commands import BookingCommands
from support.bookings import Bookings, OpenWorld, running_bookings
from support.gateways import Act, ScriptedGateway
from support.killable import KillableWorld, OpenKillable, require_sound
from support.processes import worker_processes


@pytest.fixture
async def open_world(temporal_client: Client, pool: Pool, redis_url: str) -> AsyncIterator[OpenWorld]:
    """Return a function that opens a world with this policy and a gateway that follows this script."""
    async with AsyncExitStack() as stack:

        async def open_one(*script: Act, late: float = 0.0, cache: int = 1000, **policy: float) -> Bookings:
            gateway = ScriptedGateway(pool, script or (Act.APPROVE,), late=late)
            return await stack.enter_async_context(
                running_bookings(
                    temporal_client,
                    pool,
                    redis_url,
                    policy=Policy(**policy),  # type: ignore[arg-type]
                    gateway=gateway,
                    max_cached_workflows=cache,
                )
            )

        yield open_one


@pytest.fixture
async def world(open_world: OpenWorld) -> Bookings:
    """A world with the usual policy."""
    return await open_world()


@pytest.fixture
def open_killable(  # noqa: PLR0917 - fixtures, each by its name
    temporal_client: Client, servers: Servers, pool: Pool, database_url: str, redis_url: str, tmp_path: Path
) -> OpenKillable:
    @contextlib.asynccontextmanager
    async def open_one(workers: int = 1, **settings: str) -> AsyncIterator[KillableWorld]:
        task_queue = f"queue-{uuid.uuid4()}"
        environment = {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "TEMPORAL_ADDRESS": servers.temporal_address,
            "TEMPORAL_TASK_QUEUE": task_queue,
            "PAYMENT_FAILURE_RATE": "0",
            "PAYMENT_SIMULATED_LATENCY": "0s",
        } | settings
        redis = open_redis(redis_url)
        with worker_processes(tmp_path, workers, environment) as processes:
            world = KillableWorld(
                client=temporal_client,
                pool=pool,
                redis=redis,
                gateway=ScriptedGateway(pool),
                bookings=BookingCommands(
                    BookingClient(temporal_client, task_queue=task_queue, timeout=timedelta(seconds=20))
                ),
                task_queue=task_queue,
            )
            world.workers = processes
            yield world
            await require_sound(world)
        await redis.aclose()

    return open_one
