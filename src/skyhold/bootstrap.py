"""The only place where objects meet: settings become pools, clients and stores, and those become a worker or an API."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from urllib.parse import urlsplit

from fastapi import FastAPI
from redis.asyncio import Redis
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    DescribeTaskQueueRequest,
    GetSystemInfoRequest,
)
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.runtime import LogForwardingConfig, LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker

from skyhold.activities.orders import OrderActivities
from skyhold.activities.payments import PaymentActivities
from skyhold.activities.seats import SeatActivities
from skyhold.audit.audit import Audit
from skyhold.audit.findings import Finding
from skyhold.domain.errors import WorkflowUnavailable
from skyhold.domain.orders import Policy
from skyhold.messages import STATUS_ATTRIBUTE
from skyhold.payments.gateway import PaymentGateway
from skyhold.payments.simulated import Behaviour, SimulatedGateway
from skyhold.queries.audit import AuditQueries
from skyhold.queries.database import Database
from skyhold.queries.flights import FlightQueries
from skyhold.queries.orders import OrderQueries
from skyhold.queries.seat_map import SeatMapQueries
from skyhold.queries.servers import ServerQueries
from skyhold.settings import BadSettingError, Settings
from skyhold.stores import demo_flights, schema
from skyhold.stores.ledger import Ledger
from skyhold.stores.orders import OrderStore
from skyhold.stores.payments import PaymentStore
from skyhold.stores.postgres import Pool, open_pool
from skyhold.stores.seat_locks import SeatLocks, open_redis
from skyhold.stores.seats import SeatStore
from skyhold.web.app import create_app
from skyhold.web.readiness import Probe
from skyhold.web.services import Services
from skyhold.worker import WORKFLOWS, activities_of, build_worker
from skyhold.workflows.booking_client import BookingClient

DATABASE_SCHEMES = frozenset({"postgresql", "postgres"})
REDIS_SCHEMES = frozenset({"redis", "rediss", "unix"})

CONNECT_TIMEOUT = timedelta(seconds=2)

PROBE_RPC_TIMEOUT = timedelta(seconds=1)

POLLER_MEMORY = timedelta(seconds=75)
"""A worker without work asks for some once a minute: one that has not for longer than this is gone."""


_CORE_LEVELS = {"debug": "INFO", "info": "WARN", "warning": "WARN", "error": "ERROR"}
"""How much of Temporal's core is of interest at each level of ours: it is talkative."""


class MissingSettingError(Exception):
    """A setting that has no default is not set; the message names it."""


class SchemaOutdatedError(Exception):
    """The ledger has not been migrated to the version that this code needs."""


@dataclass(frozen=True)
class RunningWorker:
    """A worker that is ready to run, and what it is connected to, for the lines that say so."""

    worker: Worker
    activities: Sequence[Callable[..., Any]]
    temporal_address: str
    namespace: str
    task_queue: str
    database: str
    redis: str

    @property
    def workflow_names(self) -> list[str]:
        """The workflows as Temporal knows them."""
        return [getattr(workflow, "__temporal_workflow_definition").name for workflow in WORKFLOWS]

    @property
    def activity_names(self) -> list[str]:
        """The activities as Temporal knows them."""
        return [getattr(activity, "__temporal_activity_definition").name for activity in self.activities]


def forward_temporal_logs(level: str) -> None:
    """Send the log lines of Temporal's core through Python's logging, whose form and place are set at the edge."""
    core_level = _CORE_LEVELS[level]
    forwarding = LogForwardingConfig(logger=logging.getLogger("temporalio.core"))
    logs = LoggingConfig(filter=TelemetryFilter(core_level=core_level, other_level="ERROR"), forwarding=forwarding)
    Runtime.set_default(Runtime(telemetry=TelemetryConfig(logging=logs)), error_if_already_set=False)


async def connect_temporal(*, is_lazy: bool = False) -> Client:
    """Return a client by Temporal's own environment configuration (TEMPORAL_ADDRESS, profiles, TLS, API keys).

    Raises:
        WorkflowUnavailable: nobody answers there.
    """
    try:
        return await Client.connect(
            **ClientConfig.load_client_connect_config(), lazy=is_lazy, connect_timeout=CONNECT_TIMEOUT
        )
    except (RPCError, RuntimeError) as error:
        raise WorkflowUnavailable from error


def make_activities(
    pool: Pool, locks: SeatLocks, gateway: PaymentGateway, *, policy: Policy, namespace_id: str
) -> list[Callable[..., Any]]:
    """Return the activities over these stores."""
    ledger = Ledger(pool)
    return activities_of(
        SeatActivities(SeatStore(ledger), locks, policy=policy, namespace_id=namespace_id),
        PaymentActivities(PaymentStore(ledger, pool), gateway),
        OrderActivities(OrderStore(ledger), locks),
    )


@contextlib.asynccontextmanager
async def open_worker(settings: Settings) -> AsyncIterator[RunningWorker]:
    """Connect a worker to the servers of the settings; what it opened is closed at the end.

    Raises:
        MissingSettingError: DATABASE_URL or REDIS_URL is not set.
        DatabaseUnavailable: PostgreSQL does not answer. (Redis may be away: booking goes on without it.)
        WorkflowUnavailable: Temporal does not answer.
    """
    async with contextlib.AsyncExitStack() as stack:
        pool = await stack.enter_async_context(_database(settings, application="skyhold worker"))
        redis = await stack.enter_async_context(_redis(settings))
        await ServerQueries(Database(pool)).server_version()
        client = await connect_temporal()
        namespace_id, has_status_attribute = await _describe(client)
        gateway = SimulatedGateway(pool, Behaviour(settings.payment_simulated_latency, settings.payment_failure_rate))
        stack.push_async_callback(gateway.stop)
        activities = make_activities(
            pool,
            SeatLocks(redis),
            gateway,
            policy=replace(settings.policy, has_status_attribute=has_status_attribute),
            namespace_id=namespace_id,
        )
        worker = build_worker(
            client, activities, task_queue=settings.temporal_task_queue, is_sandboxed=settings.workflow_sandbox
        )
        yield RunningWorker(
            worker,
            activities,
            temporal_address=client.service_client.config.target_host,
            namespace=client.namespace,
            task_queue=settings.temporal_task_queue,
            database=bare_address(settings.database_url or ""),
            redis=bare_address(settings.redis_url or ""),
        )


@contextlib.asynccontextmanager
async def open_api(settings: Settings) -> AsyncIterator[FastAPI]:
    """Make the HTTP API over the servers of the settings, which may all be away: each is reached when it is needed.

    Raises:
        MissingSettingError: DATABASE_URL or REDIS_URL is not set.
    """
    async with _database(settings, application="skyhold api") as pool, _redis(settings) as redis:
        database, client = Database(pool), await connect_temporal(is_lazy=True)
        yield create_app(
            Services(
                bookings=BookingClient(client, task_queue=settings.temporal_task_queue),
                flights=FlightQueries(database),
                seat_maps=SeatMapQueries(database),
                orders=OrderQueries(database),
                probes=_probes(ServerQueries(database), redis, client, settings.temporal_task_queue),
            )
        )


@contextlib.asynccontextmanager
async def open_probes(settings: Settings) -> AsyncIterator[Mapping[str, Probe]]:
    """Make the probes of the API without the API, for a look from outside.

    Raises:
        MissingSettingError: DATABASE_URL or REDIS_URL is not set.
    """
    async with _database(settings, application="skyhold doctor") as pool, _redis(settings) as redis:
        servers, client = ServerQueries(Database(pool)), await connect_temporal(is_lazy=True)
        yield _probes(servers, redis, client, settings.temporal_task_queue)


async def migrate(settings: Settings) -> list[str]:
    """Bring the ledger to the newest version, and return the versions that were applied.

    Raises:
        MissingSettingError: DATABASE_URL is not set.
        DatabaseUnavailable: PostgreSQL does not answer.
    """
    async with _database(settings, application="skyhold migrate") as pool:
        await ServerQueries(Database(pool)).server_version()
    return await schema.migrate(require(settings.database_url, "DATABASE_URL"))


async def seed(settings: Settings) -> tuple[int, int]:
    """Sow the demo flights; return how many were sown and how many that had left were moved.

    Raises:
        MissingSettingError: DATABASE_URL is not set.
        DatabaseUnavailable: PostgreSQL does not answer.
        SchemaOutdatedError: the ledger is not at the newest version.
    """
    async with _database(settings, application="skyhold seed") as pool:
        if wrong := await _schema_probe(ServerQueries(Database(pool)))():
            raise SchemaOutdatedError(f"The ledger's schema {wrong}.")
        return await demo_flights.seed_demo_flights(pool)


async def audit(settings: Settings) -> list[Finding]:
    """Return the broken invariants that lasted.

    Raises:
        MissingSettingError: DATABASE_URL is not set.
        DatabaseUnavailable: PostgreSQL does not answer.
    """
    async with _database(settings, application="skyhold audit") as pool:
        behaviour = Behaviour(settings.payment_simulated_latency, settings.payment_failure_rate)
        return await Audit(AuditQueries(Database(pool)), SimulatedGateway(pool, behaviour)).run()


def require(value: str | None, name: str) -> str:
    """Return the value of a setting that has no default.

    Raises:
        MissingSettingError: it is not set.
    """
    if not value:
        raise MissingSettingError(
            f"{name} is not set: give the address of the server, or start everything with `skyhold up`"
        )
    return value


def bare_address(url: str) -> str:
    """Return where a URL points to, without user, password and options."""
    parts = urlsplit(url)
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}"


@contextlib.asynccontextmanager
async def _database(settings: Settings, *, application: str) -> AsyncIterator[Pool]:
    url = _require_url(settings.database_url, "DATABASE_URL", DATABASE_SCHEMES)
    pool = await open_pool(url, application=application)
    try:
        yield pool
    finally:
        # Its own close waits for what is under way without a bound; nothing of ours is by now.
        pool.terminate()


@contextlib.asynccontextmanager
async def _redis(settings: Settings) -> AsyncIterator[Redis]:
    redis = open_redis(_require_url(settings.redis_url, "REDIS_URL", REDIS_SCHEMES))
    try:
        yield redis
    finally:
        await redis.aclose()


def _require_url(value: str | None, name: str, schemes: frozenset[str]) -> str:
    url = require(value, name)
    if url.partition("://")[0] not in schemes:
        raise BadSettingError(f"{name}: must be a URL that begins with {' or '.join(sorted(schemes))}://")
    return url


async def _describe(client: Client) -> tuple[str, bool]:
    """Return the namespace's id, by which rows are told apart, and whether the status attribute is registered there."""
    try:
        described = await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=client.namespace)
        )
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise BadSettingError(f"TEMPORAL_NAMESPACE: Temporal has no namespace {client.namespace!r}") from error
        raise WorkflowUnavailable from error
    try:
        attributes = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
    except RPCError:
        # Not every server lets a worker ask. Without the attribute bookings run all the same.
        return described.namespace_info.id, False
    return described.namespace_info.id, STATUS_ATTRIBUTE in attributes.custom_attributes


def _probes(servers: ServerQueries, redis: Redis, client: Client, task_queue: str) -> dict[str, Probe]:
    """Return a question for each server and for what must be on it, in the order of product.md, section 8."""

    async def ask_postgresql() -> None:
        await servers.server_version()

    async def ask_redis() -> None:
        await cast("Any", redis.ping())

    async def ask_temporal() -> None:
        await client.workflow_service.get_system_info(GetSystemInfoRequest(), timeout=PROBE_RPC_TIMEOUT)

    async def ask_for_worker() -> str | None:
        asked = DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
        queue = await client.workflow_service.describe_task_queue(asked, timeout=PROBE_RPC_TIMEOUT)
        since = datetime.now(UTC) - POLLER_MEMORY
        is_polled = any(poller.last_access_time.ToDatetime(UTC) > since for poller in queue.pollers)
        return None if is_polled else f"no worker on task queue {task_queue}"

    return {
        "postgresql": ask_postgresql,
        "redis": ask_redis,
        "temporal": ask_temporal,
        "worker": ask_for_worker,
        "schema": _schema_probe(servers),
    }


def _schema_probe(servers: ServerQueries) -> Probe:
    newest = schema.newest_version()

    async def ask_schema() -> str | None:
        version = await servers.schema_version() if await servers.has_schema() else None
        if version == newest:
            return None
        return f"is at version {version or 'none'}, needed is {newest}: run `skyhold migrate`"

    return ask_schema
