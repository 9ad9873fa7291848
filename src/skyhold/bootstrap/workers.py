"""A worker, composed from the settings."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker

from skyhold.activities.booking_runs import BookingRuns
from skyhold.activities.orders import OrderActivities
from skyhold.activities.payments import PaymentActivities
from skyhold.activities.reconciliation import ReconciliationActivities
from skyhold.activities.seats import SeatActivities
from skyhold.addresses.shown import show_address
from skyhold.bootstrap.gateway import open_gateway
from skyhold.bootstrap.ledger import open_database, require_ledger
from skyhold.bootstrap.reconciliation import kept_schedule
from skyhold.bootstrap.redis import open_redis_of
from skyhold.bootstrap.temporal import connect_to_namespace, until_replaced
from skyhold.domain.orders import Policy
from skyhold.events.changes import Publish
from skyhold.events.feed import Publisher
from skyhold.payments.gateway import PaymentGateway
from skyhold.postgresql.pools import Pool
from skyhold.queries.database import Database
from skyhold.queries.reconciliation import ReconciliationQueries
from skyhold.settings import Settings
from skyhold.stores.ledger import Ledger
from skyhold.stores.orders import OrderStore
from skyhold.stores.payments import PaymentStore
from skyhold.stores.seat_lock_repairs import SeatLockRepairs
from skyhold.stores.seat_locks import SeatLocks
from skyhold.stores.seats import SeatStore
from skyhold.worker import WORKFLOWS, activities_of, build_worker


@dataclass(frozen=True)
class RunningWorker:
    """A worker that is ready to run, and its connections, for the output at its start."""

    worker: Worker
    activities: Sequence[Callable[..., Any]]
    client: Client
    namespace_id: str
    task_queue: str
    database: str
    redis: str

    @property
    def temporal(self) -> str:
        """Address and namespace of its Temporal."""
        return f"{self.client.service_client.config.target_host}, namespace {self.client.namespace}"

    async def until_replaced(self) -> None:
        """Return when its Temporal has lost its data: new orders would be recorded under the lost namespace's id."""
        await until_replaced(self.client, self.namespace_id)

    @property
    def workflow_names(self) -> list[str]:
        """The names of the workflows in Temporal."""
        return [getattr(workflow, "__temporal_workflow_definition").name for workflow in WORKFLOWS]

    @property
    def activity_names(self) -> list[str]:
        """The names of the activities in Temporal."""
        return [getattr(activity, "__temporal_activity_definition").name for activity in self.activities]


def make_activities(
    pool: Pool,
    locks: SeatLocks,
    gateway: PaymentGateway,
    publish: Publish,
    *,
    runs: BookingRuns,
    policy: Policy,
    namespace_id: str,
    has_status_attribute: bool = False,
) -> list[Callable[..., Any]]:
    """Return the activities over these stores; `runs` is the reconciler's access to Temporal."""
    ledger = Ledger(pool)
    seats = SeatActivities(
        SeatStore(ledger),
        locks,
        publish,
        policy=policy,
        namespace_id=namespace_id,
        has_status_attribute=has_status_attribute,
    )
    orders = OrderActivities(OrderStore(ledger), locks, publish, has_status_attribute=has_status_attribute)
    payments = PaymentActivities(PaymentStore(ledger, pool), gateway, publish)
    reconciliation = ReconciliationActivities(
        ReconciliationQueries(Database(pool), namespace_id), runs, gateway, ledger, SeatLockRepairs(pool, locks)
    )
    return activities_of(seats, payments, orders, reconciliation)


@contextlib.asynccontextmanager
async def open_worker(settings: Settings) -> AsyncIterator[RunningWorker]:
    """Connect a worker to the servers of the settings; all connections are closed with the block.

    Raises:
        MissingSettingError: DATABASE_URL or REDIS_URL is not set.
        PostgresUnavailable: PostgreSQL does not answer, or the ledger is not ours or lacks rights. (Redis may be
            unavailable: booking continues without it.)
        WorkflowUnavailable: Temporal does not answer.
    """
    async with contextlib.AsyncExitStack() as stack:
        pool = await stack.enter_async_context(open_database(settings, application="skyhold worker"))
        redis = await stack.enter_async_context(open_redis_of(settings))
        (await require_ledger(pool)).require_rights()
        client, namespace_id, has_status_attribute = await connect_to_namespace()
        gateway = await stack.enter_async_context(open_gateway(settings, pool))
        publisher = Publisher(redis)
        stack.push_async_callback(publisher.aclose)
        activities = make_activities(
            pool,
            SeatLocks(redis),
            gateway,
            publisher.publish,
            runs=BookingRuns(client, settings.temporal_task_queue, namespace_id=namespace_id),
            policy=settings.policy,
            namespace_id=namespace_id,
            has_status_attribute=has_status_attribute,
        )
        worker = build_worker(
            client, activities, task_queue=settings.temporal_task_queue, is_sandboxed=settings.workflow_sandbox
        )
        await stack.enter_async_context(
            kept_schedule(client, task_queue=settings.temporal_task_queue, interval=settings.reconcile_interval)
        )
        yield RunningWorker(
            worker,
            activities,
            client=client,
            namespace_id=namespace_id,
            task_queue=settings.temporal_task_queue,
            database=show_address("DATABASE_URL", settings.database_url),
            redis=show_address("REDIS_URL", settings.redis_url),
        )
