"""Bring the ledger's schema to its newest version; many at once wait for one another."""

from __future__ import annotations

from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

MIGRATION_LOCK = 7_305_804_385_213_001
"""The advisory lock under which one process at a time migrates; the number means nothing."""


def newest_version() -> str:
    """Return the version that this code needs."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise RuntimeError("the package has lost its migrations")
    return head


async def migrate(database_url: str, *, patience_seconds: float = 60.0) -> list[str]:
    """Apply what is missing and return the versions that were applied, oldest first.

    Two at once are harmless: the second waits for the first, up to `patience_seconds`, and finds nothing to do.
    """

    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(database_url, timeout=5, server_settings={"application_name": "skyhold migrate"})

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            # A session lock: it outlasts the transactions of the migrations and dies with the connection.
            await connection.execute(text(f"SET lock_timeout = {int(patience_seconds * 1000)}"))
            await connection.execute(text(f"SELECT pg_advisory_lock({MIGRATION_LOCK})"))
            await connection.commit()
            return await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> list[str]:
    config = _config()
    config.attributes["connection"] = connection
    before = MigrationContext.configure(connection).get_current_revision()
    connection.commit()
    command.upgrade(config, "head")
    scripts = ScriptDirectory.from_config(config).iterate_revisions("head", before or "base")
    return [script.revision for script in scripts][::-1]


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config
