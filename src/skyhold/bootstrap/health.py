"""The probes and the check of the clock, composed from the settings, for use without the API."""

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
    """Create the probes of the API without the API.

    Raises:
        MissingSettingError: DATABASE_URL, REDIS_URL or TEMPORAL_ADDRESS is not set.
        BadSettingError: one of them, or another of Temporal's own variables, is invalid.
    """
    async with open_database(settings, application="skyhold doctor") as pool, open_redis_of(settings) as redis:
        client = await connect_temporal_lazily()
        yield probes_of(pool, redis, client, settings.temporal_task_queue, counter=probe_counter(settings))


async def clock_trouble_of(settings: Settings) -> str | None:
    """Return the offset of this machine's clock as a text; None if it is right, or PostgreSQL is unavailable.

    Raises:
        MissingSettingError: DATABASE_URL is not set.
        BadSettingError: it is not an address of PostgreSQL.
    """
    async with open_database(settings, application="skyhold clock") as pool:
        try:
            return clock_trouble(await ServerQueries(Database(pool)).clock())
        except DatabaseUnavailable:
            return None
