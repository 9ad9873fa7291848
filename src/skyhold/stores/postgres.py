"""Connections to PostgreSQL with bounded waits, so that a stopped or lost process holds nothing for long."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

import asyncpg

from skyhold.stores.connections import connect

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

# The classes are generic for the type checker alone.
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

CONNECT_TIMEOUT = 3.0
COMMAND_TIMEOUT = 6.0
"""Seconds; a little more than `statement_timeout`, so that the server is the one that ends a statement."""

_SESSION = {
    "lock_timeout": "4s",
    "statement_timeout": "5s",
    "idle_in_transaction_session_timeout": "5s",
    "timezone": "UTC",
}
"""Bounds of every session, 5 s or less each (product.md, section 4)."""


async def open_pool(database_url: str, *, application: str, size: int = 16) -> Pool:
    """Return a pool that connects when it is first used, so that a program can start while PostgreSQL is away."""

    async def open_connection(*_: Any, **options: Any) -> asyncpg.Connection[asyncpg.Record]:
        return await connect(database_url, **options)

    return await asyncpg.create_pool(
        connect=open_connection,
        min_size=0,
        max_size=size,
        timeout=CONNECT_TIMEOUT,
        command_timeout=COMMAND_TIMEOUT,
        init=_read_json,
        reset=_keep,
        server_settings=_SESSION | {"application_name": application},
    )


async def _read_json(connection: Connection) -> None:
    await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")


async def _keep(_: Connection) -> None:
    """Every use leaves no session state behind, so a reset would be a round trip for nothing."""
