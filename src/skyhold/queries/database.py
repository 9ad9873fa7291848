"""How the ledger is read: one bounded statement at a time, and one error for whatever keeps PostgreSQL from answering.

Owns neither the pool nor any statement.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncpg
import structlog

from skyhold.domain.errors import DatabaseUnavailable

READ_TIMEOUT = 2.0
"""Seconds that a reader waits for its rows, for a connection and for a second try too."""

RELEASE_TIMEOUT = 0.1
"""Seconds that PostgreSQL has to hear that a statement is not waited for any more; the connection is dropped then."""

_R = TypeVar("_R")

_log = structlog.get_logger(__name__)

_BROKEN_CONNECTION = (
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the server died in the middle of the protocol
    asyncpg.PostgresConnectionError,
    ConnectionError,
)
"""A connection that the pool kept over a restart of the server; the next one may well work."""

_AWAY = (
    *_BROKEN_CONNECTION,
    OSError,
    TimeoutError,
    asyncpg.OperatorInterventionError,  # shutting down, starting up, statement cancelled
    asyncpg.InsufficientResourcesError,  # too many connections, out of memory
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.UndefinedTableError,  # not migrated yet
    asyncpg.UndefinedColumnError,
)


class Database:
    """PostgreSQL as the readers see it."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool

    async def rows(self, statement: str, *values: Any) -> list[asyncpg.Record]:
        """Return all rows of the statement.

        Raises:
            DatabaseUnavailable: PostgreSQL does not answer.
        """
        return await _answered(lambda: self._fetch(statement, values))

    async def row(self, statement: str, *values: Any) -> asyncpg.Record | None:
        """Return the first row of the statement, or None.

        Raises:
            DatabaseUnavailable: PostgreSQL does not answer.
        """
        rows = await self.rows(statement, *values)
        return rows[0] if rows else None

    async def _fetch(self, statement: str, values: tuple[Any, ...]) -> list[asyncpg.Record]:
        connection = await self._pool.acquire()
        try:
            return await connection.fetch(statement, *values)
        finally:
            with contextlib.suppress(TimeoutError):
                await self._pool.release(connection, timeout=RELEASE_TIMEOUT)


async def _answered(ask: Callable[[], Awaitable[_R]]) -> _R:
    try:
        async with asyncio.timeout(READ_TIMEOUT):
            try:
                return await ask()
            except _BROKEN_CONNECTION:
                # A read may be asked twice, so nobody has to hear of a server that was restarted in between.
                return await ask()
    except _AWAY as error:
        _log.warning("postgresql does not answer", error=type(error).__name__)
        raise DatabaseUnavailable from error
