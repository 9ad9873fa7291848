"""The ledger by itself: a pool for who needs one, and what is done to it without a worker: migrate and seed."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from skyhold.bootstrap.addresses import DATABASE_SCHEMES, require, require_url
from skyhold.postgresql.pools import Pool, open_pool
from skyhold.queries.database import Database
from skyhold.queries.servers import ServerQueries
from skyhold.settings import Settings
from skyhold.stores import demo_flights, schema
from skyhold.web.readiness import Probe


class SchemaOutdatedError(Exception):
    """The ledger has not been migrated to the version that this code needs."""


@contextlib.asynccontextmanager
async def open_database(settings: Settings, *, application: str) -> AsyncIterator[Pool]:
    """Open a pool on the ledger, which may be away: it is reached when it is needed.

    Raises:
        MissingSettingError: DATABASE_URL is not set.
        BadSettingError: it is no address of PostgreSQL.
    """
    url = require_url(settings.database_url, "DATABASE_URL", DATABASE_SCHEMES)
    pool = await open_pool(url, application=application)
    try:
        yield pool
    finally:
        # Its own close waits for what is under way without a bound; nothing of ours is by now.
        pool.terminate()


async def migrate(settings: Settings) -> list[str]:
    """Bring the ledger to the newest version, and return the versions that were applied.

    Raises:
        MissingSettingError: DATABASE_URL is not set.
        DatabaseUnavailable: PostgreSQL does not answer.
    """
    async with open_database(settings, application="skyhold migrate") as pool:
        await ServerQueries(Database(pool)).server_version()
    return await schema.migrate(require(settings.database_url, "DATABASE_URL"))


async def seed(settings: Settings) -> tuple[int, int]:
    """Sow the demo flights; return how many were sown and how many that had left were moved.

    Raises:
        MissingSettingError: DATABASE_URL is not set.
        DatabaseUnavailable: PostgreSQL does not answer.
        SchemaOutdatedError: the ledger is not at the newest version.
    """
    async with open_database(settings, application="skyhold seed") as pool:
        if wrong := await schema_probe(ServerQueries(Database(pool)))():
            raise SchemaOutdatedError(f"The ledger's schema {wrong}.")
        return await demo_flights.seed_demo_flights(pool)


def schema_probe(servers: ServerQueries) -> Probe:
    """Return the question whether the ledger is at the version that this code needs."""
    newest = schema.newest_version()

    async def ask_schema() -> str | None:
        version = await servers.schema_version() if await servers.has_schema() else None
        if version == newest:
            return None
        return f"is at version {version or 'none'}, needed is {newest}: run `skyhold migrate`"

    return ask_schema
