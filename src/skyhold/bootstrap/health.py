"""The probes and the clock's check, put together from the settings: for a look from outside, without the API."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping

from skyhold.bootstrap.ledger import open_database
from skyhold.bootstrap.limits import probe_counter
from skyhold.bootstrap.redis import open_redis_of
from skyhold.bootstrap.temporal import connect_temporal_lazily
from skyhold.domain.errors import DatabaseUnavailable
from skyhold.health.clocks import clock_trouble
from skyhold.health.probes import probes_of
from skyhold.health.verdict import Probe
from skyhold.queries.database import Database
from skyhold.queries.servers import ServerQueries
from skyhold.settings import Settings


@contextlib.asynccontextmanager
async def open_probes(settings: Settings) -> AsyncIterator[Mapping[str, Probe]]:
    """Make the probes of the API without the API.

    Raises:
        MissingSettingError: DATABASE_URL, REDIS_URL or TEMPORAL_ADDRESS is not set.
        BadSettingError: what they, or others of Temporal's own, say cannot be meant.
    """
    async with open_database(settings, application="skyhold doctor") as pool, open_redis_of(settings) as redis:
        client = await connect_temporal_lazily()
        yield probes_of(pool, redis, client, settings.temporal_task_queue, counter=probe_counter(settings))


async def clock_trouble_of(settings: Settings) -> str | None:
    """Say by how much the clock of this machine is off; nothing if it is right, or PostgreSQL does not say.

    Raises:
        MissingSettingError: DATABASE_URL is not set.
        BadSettingError: it is no address of PostgreSQL.
    """
    async with open_database(settings, application="skyhold clock") as pool:
        try:
            return clock_trouble(await ServerQueries(Database(pool)).clock())
        except DatabaseUnavailable:
            return None
