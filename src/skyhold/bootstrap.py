"""The only place where objects meet: settings become pools, clients and stores, and those become a worker or an API."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import asyncpg
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError
from temporalio.worker import Worker

from skyhold.activities.orders import OrderActivities
from skyhold.activities.payments import PaymentActivities
from skyhold.activities.seats import SeatActivities
from skyhold.domain.errors import DatabaseUnavailable, WorkflowUnavailable
from skyhold.domain.orders import Policy
from skyhold.messages import STATUS_ATTRIBUTE
from skyhold.payments.gateway import PaymentGateway
from skyhold.payments.simulated import Behaviour, SimulatedGateway
from skyhold.settings import Settings
from skyhold.stores.ledger import Ledger
from skyhold.stores.orders import OrderStore
from skyhold.stores.payments import PaymentStore
from skyhold.stores.postgres import Pool, open_pool
from skyhold.stores.seat_locks import SeatLocks, open_redis
from skyhold.stores.seats import SeatStore
from skyhold.worker import activities_of, build_worker


class MissingSettingError(Exception):
    """A setting that has no default is not set; the message names it."""


@dataclass(frozen=True)
class RunningWorker:
    """A worker that is ready to run, and what it is connected to, for the line that says so."""

    worker: Worker
    activities: Sequence[Callable[..., Any]]
    temporal_address: str
    namespace: str
    has_status_attribute: bool


async def connect_temporal(*, is_lazy: bool = False) -> Client:
    """Return a client by Temporal's own environment configuration (TEMPORAL_ADDRESS, profiles, TLS, API keys).

    Raises:
        WorkflowUnavailable: nobody answers there.
    """
    try:
        return await Client.connect(**ClientConfig.load_client_connect_config(), lazy=is_lazy)
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
    client = await connect_temporal()
    namespace_id, has_status_attribute = await _describe(client)
    async with contextlib.AsyncExitStack() as stack:
        pool = await open_pool(require(settings.database_url, "DATABASE_URL"), application="skyhold worker")
        stack.push_async_callback(pool.close)
        await require_database(pool)
        redis = open_redis(require(settings.redis_url, "REDIS_URL"))
        stack.push_async_callback(redis.aclose)
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
        address = client.service_client.config.target_host
        yield RunningWorker(worker, activities, address, client.namespace, has_status_attribute)


async def require_database(pool: Pool) -> None:
    """Make sure that PostgreSQL answers.

    Raises:
        DatabaseUnavailable: it does not.
    """
    try:
        await pool.fetchval("SELECT 1")
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise DatabaseUnavailable from error


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


async def _describe(client: Client) -> tuple[str, bool]:
    """Return the namespace's id, by which rows are told apart, and whether the status attribute is registered there."""
    described = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    try:
        attributes = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
    except RPCError:
        # Not every server lets a worker ask. Without the attribute bookings run all the same.
        return described.namespace_info.id, False
    return described.namespace_info.id, STATUS_ATTRIBUTE in attributes.custom_attributes
