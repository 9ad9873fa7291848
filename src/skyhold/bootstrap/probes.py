"""The probes by which API and doctor know whether the servers can do their work.

A probe does what its server is needed for and leaves nothing behind; what this process knows from its own work counts
for a few seconds beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, timedelta

from redis.asyncio import Redis
from redis.exceptions import RedisError
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from skyhold.bootstrap.clocks import clock_probe, common_time
from skyhold.bootstrap.ledger import open_database, schema_probe
from skyhold.bootstrap.limits import PROBE_COUNTER
from skyhold.bootstrap.postgresql_failures import postgresql_failure
from skyhold.bootstrap.redis import open_redis_of
from skyhold.bootstrap.temporal import (
    command_for_namespace,
    connect_temporal_lazily,
    namespace_id_of,
    temporal_trouble,
)
from skyhold.postgresql.errors import PostgresReadOnly, PostgresSilent, PostgresUnavailable
from skyhold.postgresql.pools import Pool
from skyhold.queries.database import Database
from skyhold.queries.servers import ServerQueries
from skyhold.redis_clients import bad_address_of, refusal_of
from skyhold.settings import BadSettingError, Settings
from skyhold.stores.write_probes import PostgresWriteProbe, RedisWriteProbe
from skyhold.web.edge.limits import RateLimits
from skyhold.web.live.watches import Live
from skyhold.web.readiness import CLOCK, Probe, ProbeFailure

PROBE_RPC_TIMEOUT = timedelta(seconds=1)

WRITE_SECONDS = 1.2
"""How long a write may take, less than a probe as a whole, so that the result of the read is not lost."""

KNOWN_SECONDS = 5.0
"""For how long a failure of this process's own counts against a server that answers its probe."""

POLLER_MEMORY = timedelta(seconds=75)
"""A worker without work asks for some once a minute: one that has not for longer than this is gone."""

_REDIS_REMEDIES = {
    "out of memory": "Raise maxmemory of Redis, or delete what else fills it.",
    "only reads": "Promote this server, or give REDIS_URL the address of the one that writes.",
    "refuses the": "Correct the user, the password or the database in REDIS_URL.",
    "is still loading": "Wait until Redis has loaded its data.",
    "a right": "Grant the user of REDIS_URL the rights that docs/runbook.md lists.",
}


@contextlib.asynccontextmanager
async def open_probes(settings: Settings) -> AsyncIterator[Mapping[str, Probe]]:
    """Make the probes of the API without the API, for a look from outside.

    Raises:
        MissingSettingError: DATABASE_URL, REDIS_URL or TEMPORAL_ADDRESS is not set.
        BadSettingError: what they, or others of Temporal's own, say cannot be meant.
    """
    async with open_database(settings, application="skyhold doctor") as pool, open_redis_of(settings) as redis:
        client = await connect_temporal_lazily()
        counts_requests = settings.rate_limit is not None
        yield probes_of(pool, redis, client, settings.temporal_task_queue, counts_requests=counts_requests)


def probes_of(
    pool: Pool,
    redis: Redis,
    client: Client,
    task_queue: str,
    *,
    known: Callable[[], str | None] = lambda: None,
    counts_requests: bool = True,
) -> dict[str, Probe]:
    """Return a probe for each server, for what must be on it (docs/rules.md#readiness), and for the clock here.

    `known` says what this process could not have Redis do a moment ago.
    """
    servers = ServerQueries(Database(pool))

    async def probe_temporal() -> ProbeFailure | None:
        try:
            await namespace_id_of(client, within=PROBE_RPC_TIMEOUT)
        except (RPCError, RuntimeError, ValueError) as error:
            return temporal_failure(error, client)
        return None

    async def probe_worker() -> ProbeFailure | str | None:
        asked = DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
        # Not by the clock of this machine: one that is ahead would miss a worker that is there.
        try:
            now, queue = await asyncio.gather(
                common_time(servers), client.workflow_service.describe_task_queue(asked, timeout=PROBE_RPC_TIMEOUT)
            )
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return temporal_failure(error, client)
            raise
        since = now - POLLER_MEMORY
        is_polled = any(poller.last_access_time.ToDatetime(UTC) > since for poller in queue.pollers)
        return None if is_polled else f"no worker on task queue {task_queue}"

    return {
        "postgresql": postgresql_probe(pool, servers),
        "redis": redis_probe(redis, known, counts_requests=counts_requests),
        "temporal": probe_temporal,
        "worker": probe_worker,
        "schema": schema_probe(pool),
        CLOCK: clock_probe(servers),
    }


def temporal_failure(error: RPCError | RuntimeError | ValueError, client: Client) -> ProbeFailure:
    """Return what a probe says of this error of Temporal's client; a missing namespace is a setting."""
    if isinstance(error, RPCError) and error.status is RPCStatusCode.NOT_FOUND:
        reason = f"there is no namespace {client.namespace!r} (TEMPORAL_NAMESPACE)"
        remedy = f"Correct TEMPORAL_NAMESPACE, or make it: {command_for_namespace(client)}"
        return ProbeFailure(reason, remedy=remedy, is_misconfigured=True)
    try:
        return ProbeFailure(temporal_trouble(error, client))
    except BadSettingError as bad:
        return ProbeFailure(str(bad), remedy="Correct this setting.", is_misconfigured=True)


def postgresql_probe(pool: Pool, servers: ServerQueries) -> Probe:
    """Return the question whether PostgreSQL reads, and whether it would take a command."""
    write_probe = PostgresWriteProbe(pool)

    async def write() -> PostgresUnavailable | None:
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await write_probe.write()
        except TimeoutError:
            return PostgresSilent()
        except PostgresUnavailable as why:
            return why
        refused = pool.refused_write()
        return None if isinstance(refused, PostgresReadOnly) else refused

    async def probe_postgresql() -> ProbeFailure | None:
        refusal, read = await asyncio.gather(write(), servers.server_version(), return_exceptions=True)
        if isinstance(read, PostgresUnavailable):
            return postgresql_failure(read)
        for result in (read, refusal):
            if isinstance(result, BaseException) and not isinstance(result, PostgresUnavailable):
                raise result
        return postgresql_failure(refusal, is_partial=True) if isinstance(refusal, PostgresUnavailable) else None

    return probe_postgresql


def redis_probe(redis: Redis, known: Callable[[], str | None], *, counts_requests: bool = True) -> Probe:
    """Return the question whether Redis would lock a seat, take and give an event, and count a request."""
    write_probe = RedisWriteProbe(redis, counter=PROBE_COUNTER if counts_requests else None)

    async def probe_redis() -> ProbeFailure | None:
        try:
            await write_probe.write()
        except RedisError as error:
            if (reason := refusal_of(error)) is None:
                raise
            remedy = next((text for begin, text in _REDIS_REMEDIES.items() if reason.startswith(begin)), None)
            is_misconfigured = bad_address_of(error) is not None
            return ProbeFailure(
                reason, remedy=remedy, is_partial=not is_misconfigured, is_misconfigured=is_misconfigured
            )
        trouble = known()
        return ProbeFailure(trouble, is_partial=True) if trouble else None

    return probe_redis


def trouble_with_redis(live: Live, limits: RateLimits | None) -> str | None:
    """Say what the API could not have Redis do a moment ago, though it may answer a probe."""
    if live.is_feed_down:
        return "live events are not received"
    if limits is not None and (limits.is_refused or limits.has_failed_within(KNOWN_SECONDS)):
        return "requests are counted by each process alone"
    return None
