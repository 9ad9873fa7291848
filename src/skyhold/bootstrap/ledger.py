"""The ledger by itself: a pool, the check that the schema is ours, and migrate and seed without a worker."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from skyhold.bootstrap.addresses import require, require_database_url
from skyhold.health.postgresql import outdated_schema
from skyhold.postgresql.errors import PostgresMisconfigured, PostgresUnavailable
from skyhold.postgresql.pools import Pool, open_pool
from skyhold.queries.database import Database
from skyhold.queries.schemas import LedgerSchema, SchemaQueries
from skyhold.queries.servers import ServerQueries
from skyhold.settings import Settings
from skyhold.stores import demo_flights, schema

ANSWER_SECONDS = 2.0
"""Time that a process waits at its start for PostgreSQL to report that something must be set or granted."""


class SchemaOutdatedError(Exception):
    """The ledger has not been migrated to the version that this code needs."""


@contextlib.asynccontextmanager
async def open_database(settings: Settings, *, application: str) -> AsyncIterator[Pool]:
    """Open a pool on the ledger, which may be unavailable: the pool connects when it is used.

    Raises:
        MissingSettingError: DATABASE_URL is not set.
        BadSettingError: it is not an address of PostgreSQL.
    """
    url = require_database_url(settings.database_url)
    pool = await open_pool(url, application=application)
    try:
        yield pool
    finally:
        # Not close(), which waits without a timeout for statements under way; we have none any more.
        pool.terminate()


async def migrate(settings: Settings) -> list[str]:
    """Bring the ledger to the newest version, and return the versions that were applied.

    Raises:
        MissingSettingError: DATABASE_URL is not set.
        PostgresUnavailable: PostgreSQL cannot be reached, only reads, or the schema is not ours or may not be changed;
            then nothing is changed.
    """
    async with open_database(settings, application="skyhold migrate") as pool:
        await ServerQueries(Database(pool)).server_version()

        async def check() -> None:
            (await require_ledger(pool)).require_migratable(schema.versions())

        return await schema.migrate(require(settings.database_url, "DATABASE_URL"), check=check)


async def seed(settings: Settings) -> tuple[int, int]:
    """Insert the demo flights; return the number of inserted flights and of departed ones that were moved.

    Raises:
        MissingSettingError: DATABASE_URL is not set.
        PostgresUnavailable: PostgreSQL cannot be reached, only reads, or the schema is not ours or not writable.
        SchemaOutdatedError: the ledger is not at the newest version.
    """
    async with open_database(settings, application="skyhold seed") as pool:
        if outdated := outdated_schema(await require_ledger(pool)):
            raise SchemaOutdatedError(f"The ledger's schema {outdated}.")
        return await demo_flights.seed_demo_flights(pool)


async def require_ledger(pool: Pool) -> LedgerSchema:
    """Check that the schema of the address is ours, and return it; it may still have to be migrated.

    Raises:
        PostgresMisconfigured: it is not; a person must set or grant something.
        PostgresUnavailable: PostgreSQL does not answer.
    """
    found = await SchemaQueries(pool).find()
    found.require_ours(is_named=pool.is_schema_named)
    return found


async def require_usable_ledger(settings: Settings, *, within: float = ANSWER_SECONDS) -> None:
    """Check that the ledger needs no action of a person, as far as PostgreSQL answers within `within` seconds.

    Raises:
        MissingSettingError: DATABASE_URL is not set.
        PostgresMisconfigured: a person must set or grant something.
    """
    async with open_database(settings, application="skyhold") as pool:
        try:
            async with asyncio.timeout(within):
                (await require_ledger(pool)).require_rights()
        except PostgresMisconfigured:
            raise
        except (PostgresUnavailable, TimeoutError):
            return  # the process waits for it later
