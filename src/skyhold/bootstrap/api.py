"""The HTTP API, put together from the settings, and the probes by which it knows whether its servers answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, timedelta
from typing import Any, cast

from fastapi import FastAPI
from redis.asyncio import Redis
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, GetSystemInfoRequest
from temporalio.client import Client
from temporalio.service import RPCError

from skyhold.bootstrap.addresses import require
from skyhold.bootstrap.clocks import clock_probe, common_time
from skyhold.bootstrap.ledger import open_database, schema_probe
from skyhold.bootstrap.limits import open_limits
from skyhold.bootstrap.live import open_live
from skyhold.bootstrap.redis import open_redis_of
from skyhold.bootstrap.temporal import connect_temporal, temporal_trouble
from skyhold.queries.database import Database
from skyhold.queries.flights import FlightQueries
from skyhold.queries.instances import InstanceQueries
from skyhold.queries.orders import OrderQueries
from skyhold.queries.sales import SaleQueries
from skyhold.queries.seat_map import SeatMapQueries
from skyhold.queries.seat_plans import SeatPlanQueries
from skyhold.queries.servers import ServerQueries
from skyhold.settings import Settings
from skyhold.stores.idempotency import IdempotencyStore
from skyhold.web.alternatives import Alternatives
from skyhold.web.app import create_app
from skyhold.web.edge import Edge
from skyhold.web.idempotency import RequestNames
from skyhold.web.identity import GuestCookies, Identities
from skyhold.web.instances import Instance
from skyhold.web.origins import Origins
from skyhold.web.public_address import PublicAddress
from skyhold.web.readiness import CLOCK, Checks, Probe
from skyhold.web.seals import Seals
from skyhold.web.services import Services
from skyhold.workflows.booking_client import BookingClient

PROBE_RPC_TIMEOUT = timedelta(seconds=1)

POLLER_MEMORY = timedelta(seconds=75)
"""A worker without work asks for some once a minute: one that has not for longer than this is gone."""


@contextlib.asynccontextmanager
async def open_api(settings: Settings) -> AsyncIterator[FastAPI]:
    """Make the HTTP API over the servers of the settings, which may all be away: each is reached when it is needed.

    Raises:
        MissingSettingError: DATABASE_URL, REDIS_URL or SECRET_KEY is not set.
    """
    seals = Seals(require(settings.secret_key, "SECRET_KEY"))
    identities = Identities(seals)
    public = PublicAddress.of(settings.public_url) if settings.public_url else None
    async with open_database(settings, application="skyhold api") as pool, contextlib.AsyncExitStack() as stack:
        database = Database(pool)
        cookies = GuestCookies(identities, Instance(InstanceQueries(database).read_id))
        redis = await stack.enter_async_context(open_redis_of(settings))
        limits = await stack.enter_async_context(open_limits(settings, seals, cookies))
        live = await stack.enter_async_context(open_live(settings, database))
        client = await connect_temporal(is_lazy=True)
        services = Services(
            bookings=BookingClient(client, task_queue=settings.temporal_task_queue),
            flights=FlightQueries(database),
            seat_maps=SeatMapQueries(database),
            orders=OrderQueries(database),
            sales=SaleQueries(database),
            identities=identities,
            cookies=cookies,
            names=RequestNames(seals, IdempotencyStore(database)),
            alternatives=Alternatives(SeatPlanQueries(database)),
            live=live,
            policy=settings.policy,
            origins=Origins(public, settings.cors_origins),
            checks=Checks(_probes(ServerQueries(database), redis, client, settings.temporal_task_queue)),
        )
        yield create_app(services, Edge(settings.cors_origins, settings.trusted_proxies, limits, public))


@contextlib.asynccontextmanager
async def open_probes(settings: Settings) -> AsyncIterator[Mapping[str, Probe]]:
    """Make the probes of the API without the API, for a look from outside.

    Raises:
        MissingSettingError: DATABASE_URL or REDIS_URL is not set.
    """
    async with open_database(settings, application="skyhold doctor") as pool, open_redis_of(settings) as redis:
        servers, client = ServerQueries(Database(pool)), await connect_temporal(is_lazy=True)
        yield _probes(servers, redis, client, settings.temporal_task_queue)


def _probes(servers: ServerQueries, redis: Redis, client: Client, task_queue: str) -> dict[str, Probe]:
    """Return a question for each server, for what must be on it (product.md, section 8), and for the clock here."""

    async def ask_postgresql() -> None:
        await servers.server_version()

    async def ask_redis() -> None:
        await cast("Any", redis.ping())

    async def ask_temporal() -> str | None:
        try:
            await client.workflow_service.get_system_info(GetSystemInfoRequest(), timeout=PROBE_RPC_TIMEOUT)
        except (RPCError, RuntimeError) as error:
            return temporal_trouble(error, client)
        return None

    async def ask_for_worker() -> str | None:
        asked = DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
        # Not by the clock of this machine: one that is ahead would miss a worker that is there.
        now, queue = await asyncio.gather(
            common_time(servers), client.workflow_service.describe_task_queue(asked, timeout=PROBE_RPC_TIMEOUT)
        )
        since = now - POLLER_MEMORY
        is_polled = any(poller.last_access_time.ToDatetime(UTC) > since for poller in queue.pollers)
        return None if is_polled else f"no worker on task queue {task_queue}"

    return {
        "postgresql": ask_postgresql,
        "redis": ask_redis,
        "temporal": ask_temporal,
        "worker": ask_for_worker,
        "schema": schema_probe(servers),
        CLOCK: clock_probe(servers),
    }
