"""The whole system under a random walk: real servers and a worker that can be stopped, on one event loop."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from temporalio.client import Client

from skyhold.audit.money import find_money
from skyhold.domain.errors import SkyholdError
from skyhold.messages import workflow_id_of
from skyhold.postgresql.pools import Pool, open_pool
from skyhold.queries.audit import AuditQueries
from skyhold.queries.database import Database
from skyhold.workflows.payloads import DATA_CONVERTER
from skyhold_local.embedded.servers import Servers
from support.bookings import Booking, Bookings, running_bookings
from support.gateways import ScriptedGateway


@dataclass
class System:
    """The servers, a worker that can be stopped, and their event loop."""

    servers: Servers
    database_url: str
    runner: asyncio.Runner
    task_queue: str = field(default_factory=lambda: f"queue-{uuid.uuid4()}")
    work: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def open(self) -> None:
        self.pool: Pool = await open_pool(self.database_url, application="tests")
        self.client = await Client.connect(self.servers.temporal_address, data_converter=DATA_CONVERTER)
        self.queries = AuditQueries(Database(self.pool))
        await self.start_worker()

    async def close(self) -> None:
        await self.stop_worker()
        self.pool.terminate()

    async def start_worker(self) -> None:
        self.gateway = ScriptedGateway(self.pool)
        running = running_bookings(
            self.client, self.pool, self.servers.redis_url, gateway=self.gateway, task_queue=self.task_queue
        )
        self.world: Bookings = await self.work.enter_async_context(running)

    async def stop_worker(self) -> None:
        await self.work.aclose()
        self.work = AsyncExitStack()

    def booking(self, order_id: str) -> Booking:
        return Booking(self.world, order_id, self.client.get_workflow_handle(workflow_id_of(order_id)))

    async def lapse(self, order_id: str) -> None:
        """Move the deadline into the past, and notify the workflow by a change that is refused."""
        await self.pool.execute("UPDATE orders SET expires_at = clock_timestamp() WHERE id = $1", order_id)
        assert await refusal_of(self.world.bookings.update_seats(order_id, ["1A"])) == "HoldExpired"

    async def wipe_redis(self) -> None:
        await self.world.redis.flushall()

    async def findings(self) -> list[Any]:
        queries = self.queries
        return [
            *await queries.seats_without_rightful_owner(),
            *await queries.orders_without_their_seats(),
            *await queries.seats_of_ended_orders(),
            *await queries.wrong_totals(),
            *await queries.broken_logs(),
            *await find_money(queries, self.gateway),
        ]


async def refusal_of(command: Awaitable[Any]) -> str | None:
    try:
        await command
    except SkyholdError as refusal:
        return type(refusal).__name__
    return None
