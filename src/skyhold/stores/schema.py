"""Migration of the ledger's schema to its newest version; concurrent runs wait for one another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from skyhold.postgresql.errors import PostgresBusy, refused_migration
from skyhold.postgresql.sessions import MIGRATION_SETTINGS, Row, open_session

if TYPE_CHECKING:
    import asyncpg
    from alembic.config import Config
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection

MIGRATION_LOCK = 7_305_804_385_213_001
"""The advisory lock under which one process at a time migrates; the number means nothing."""

_TURN_SECONDS = 0.1
"""Pause between two questions whether another migration is done."""

_MIGRATIONS = Path(__file__).parent / "migrations"


def versions() -> list[str]:
    """Return the versions that this code knows, oldest first: the names of their files start with their numbers."""
    return sorted(path.stem.partition("_")[0] for path in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


def newest_version() -> str:
    """Return the version that this code needs."""
    return versions()[-1]


async def migrate(
    database_url: str, *, check: Callable[[], Awaitable[None]] | None = None, patience_seconds: float = 60.0
) -> list[str]:
    """Apply the missing migrations and return their versions, oldest first.

    Safe to run concurrently: the second run waits for the first, up to `patience_seconds`, and finds nothing to do.
    `check` is called under the migration lock before anything is changed, and may raise to prevent the migration.

    Raises:
        PostgresUnavailable: PostgreSQL cannot be reached, only reads, or does not permit it to the role; the failed
            migration has changed nothing.
    """
    # Alembic and SQLAlchemy are for migrations only; imported here, they do not slow down the other commands.
    from sqlalchemy import text  # noqa: PLC0415
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415
    from sqlalchemy.pool import NullPool  # noqa: PLC0415

    async def connect() -> asyncpg.Connection[Row]:
        return await open_session(database_url, application="skyhold migrate", settings=MIGRATION_SETTINGS)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.execute(text(f"SET lock_timeout = {int(patience_seconds * 1000)}"))
            await connection.commit()
            try:
                async with asyncio.timeout(patience_seconds):
                    await _take_turn(connection)
            except TimeoutError:
                raise PostgresBusy("another migration is still running") from None
            if check is not None:
                await check()
            return await connection.run_sync(_upgrade)
    except DBAPIError as error:
        # SQLAlchemy's error has the adapter's as `orig`, and that has the driver's as its cause.
        if error.orig is not None and (why := refused_migration(error.orig.__cause__ or error.orig)):
            raise why from error
        raise
    finally:
        await engine.dispose()


async def _take_turn(connection: AsyncConnection) -> None:
    """Take the migration lock: it outlasts the transactions of the migrations and dies with the connection.

    Asks again and again instead of waiting in PostgreSQL: a session that waits in a statement keeps a snapshot, for
    which an index that is built concurrently by the holder of the lock would wait in turn.
    """
    from sqlalchemy import text  # noqa: PLC0415

    while not await connection.scalar(text(f"SELECT pg_try_advisory_lock({MIGRATION_LOCK})")):
        await connection.rollback()
        await asyncio.sleep(_TURN_SECONDS)
    await connection.commit()


def _upgrade(connection: Connection) -> list[str]:
    from alembic import command  # noqa: PLC0415
    from alembic.migration import MigrationContext  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = _config()
    config.attributes["connection"] = connection
    before = MigrationContext.configure(connection).get_current_revision()
    connection.commit()
    command.upgrade(config, "head")
    scripts = ScriptDirectory.from_config(config).iterate_revisions("head", before or "base")
    return [script.revision for script in scripts][::-1]


def _config() -> Config:
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config
