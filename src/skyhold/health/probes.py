"""The probes of API and doctor.

A probe runs the operations for which its server is needed and leaves no data; a failure in this process's own work also
counts for a few seconds.
"""

from __future__ import annotations

from collections.abc import Callable

from redis.asyncio import Redis
from temporalio.client import Client

from skyhold.health.clocks import clock_probe
from skyhold.health.postgresql import postgresql_probe, schema_probe
from skyhold.health.redis import redis_probe
from skyhold.health.temporal import temporal_probe, worker_probe
from skyhold.health.verdict import CLOCK, Probe
from skyhold.postgresql.pools import Pool
from skyhold.queries.database import Database
from skyhold.queries.servers import ServerQueries


def probes_of(
    pool: Pool,
    redis: Redis,
    client: Client,
    task_queue: str,
    *,
    known: Callable[[], str | None] = lambda: None,
    counter: str | None = None,
) -> dict[str, Probe]:
    """Return a probe for each server, for worker and schema (docs/rules.md#readiness), and for the clock here.

    `known` and `counter` are those of `redis_probe`.
    """
    servers = ServerQueries(Database(pool))
    return {
        "postgresql": postgresql_probe(pool, servers),
        "redis": redis_probe(redis, known, counter=counter),
        "temporal": temporal_probe(client),
        "worker": worker_probe(client, task_queue, servers),
        "schema": schema_probe(pool),
        CLOCK: clock_probe(servers),
    }
