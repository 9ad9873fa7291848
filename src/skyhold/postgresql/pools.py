"""A pool of sessions: transactions and statements, translation of their failures, and renewal of sessions.

Every outage of PostgreSQL is raised as `PostgresUnavailable`; other errors are not changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

import asyncpg
import structlog

from skyhold.postgresql.errors import (
    OUTAGES,
    PostgresMisconfigured,
    PostgresReadOnly,
    PostgresSilent,
    PostgresUnavailable,
    unavailable,
)
from skyhold.postgresql.sessions import Connection, Row, Sessions

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

T = TypeVar("T")

RENEWAL_SECONDS = 1.0
"""Sessions are renewed at most this often, however many fail: a server that only reads still serves readers."""

RELEASE_SECONDS = 0.1
"""Time limit for the cancellation of an unfinished statement; after that the session is closed."""

MEMORY_SECONDS = 5.0
"""Time for which a refused write counts, even if a probe of the server succeeds."""

LOG_SECONDS = 10.0
"""Minimum time between two log lines with the same reason."""

_log = structlog.get_logger(__name__)


async def open_pool(database_url: str, *, application: str, size: int = 16) -> Pool:
    """Return a pool that connects at its first use, so that a program can start while PostgreSQL is unavailable.

    Raises:
        PostgresMisconfigured: the address cannot be used.
    """
    pool = Pool(Sessions(database_url, application=application))
    await pool.open(size)
    return pool


async def _keep(_: Connection) -> None:
    """Skip the reset of a session: no use changes its state, so the round trip would be useless."""


class Pool:
    """A pool of uniform sessions, each lent to one user at a time."""

    _pool: asyncpg.Pool[Row]

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._is_read_only = self._is_down = False
        self._renewed_at = self._answered_at = -math.inf
        self._refused_write: tuple[float, PostgresUnavailable] | None = None
        self._logged: dict[str, float] = {}

    @property
    def schema(self) -> str:
        """The name of the schema of its sessions."""
        return self._sessions.schema

    @property
    def is_schema_named(self) -> bool:
        """True if the address names the schema explicitly."""
        return self._sessions.is_schema_named

    async def open(self, size: int) -> None:
        """Set the maximum number of sessions; each is opened when it is needed."""
        self._pool = await asyncpg.create_pool(min_size=0, max_size=size, connect=self._connect, reset=_keep)

    async def _connect(self, *_: Any, **__: Any) -> asyncpg.Connection[Row]:
        session = await self._sessions.open()
        if self._is_read_only and not session.is_read_only:
            # Another server writes now: sessions of the others may read older data than was written there.
            await self._pool.expire_connections()
            _log.info("PostgreSQL accepts writes again")
        self._is_read_only = session.is_read_only
        return session.connection

    @contextlib.asynccontextmanager
    async def acquire(self) -> AsyncIterator[Connection]:
        """Lend a session for statements that are each a transaction.

        Raises:
            PostgresUnavailable: there is no session, or a statement failed because of an outage.
        """
        since = asyncio.get_running_loop().time()
        try:
            connection = await self._pool.acquire()
            try:
                yield connection
            except BaseException:
                await self._release_after_failure(connection)
                raise
            await self._release(connection)
        except OUTAGES as error:
            if why := await self._meaning_of(error, since):
                raise why from error
            raise
        self._note_answer()

    @contextlib.asynccontextmanager
    async def transaction(self, *, is_snapshot: bool = False) -> AsyncIterator[Connection]:
        """Commit all of the block or nothing; with `is_snapshot` all its reads see the same instant.

        Raises:
            PostgresUnavailable: as for `acquire`; if it was the commit that failed, its outcome is unknown.
        """
        isolation: Any = "repeatable_read" if is_snapshot else None
        async with self.acquire() as connection, connection.transaction(isolation=isolation):
            try:
                yield connection
            except TimeoutError:
                connection.terminate()  # a silent server would not answer a rollback either
                raise

    async def fetch(self, statement: str, *values: Any) -> list[Row]:
        """Run one statement in a transaction of its own and return its rows. Raises as `acquire` does."""
        return await self._run(lambda connection: connection.fetch(statement, *values))

    async def fetchrow(self, statement: str, *values: Any) -> Row | None:
        """Run one statement in a transaction of its own and return its first row. Raises as `acquire` does."""
        return await self._run(lambda connection: connection.fetchrow(statement, *values))

    async def fetchval(self, statement: str, *values: Any) -> Any:
        """Run one statement in a transaction of its own and return its first value. Raises as `acquire` does."""
        return await self._run(lambda connection: connection.fetchval(statement, *values))

    async def execute(self, statement: str, *values: Any) -> str:
        """Run one statement in a transaction of its own and return its command tag. Raises as `acquire` does."""
        return await self._run(lambda connection: connection.execute(statement, *values))

    async def executemany(self, statement: str, values: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each of the values, in one transaction. Raises as `acquire` does."""
        await self._run(lambda connection: connection.executemany(statement, values))

    def terminate(self) -> None:
        """Close every session at once."""
        self._pool.terminate()

    async def close(self) -> None:
        """Close every session when it is no longer used."""
        await self._pool.close()

    async def take_note(self, why: PostgresUnavailable, *, since: float = math.inf) -> None:
        """Log the reason of a failure, and renew the sessions that may fail for the same reason.

        A server is silent if no session had an answer since the failed call began, at `since` by the loop's clock.
        """
        now = asyncio.get_running_loop().time()
        if why.is_write_refused:
            self._refused_write = now, why
        elif why.is_session_suspect:
            self._is_down = True
        self._is_read_only = self._is_read_only or isinstance(why, PostgresReadOnly)
        if now - self._logged.get(type(why).__name__, now - LOG_SECONDS) >= LOG_SECONDS:
            self._logged[type(why).__name__] = now
            remedy = {"remedy": why.remedy} if isinstance(why, PostgresMisconfigured) else {}
            _log.warning("PostgreSQL unavailable; retrying", error=type(why).__name__, reason=why.words, **remedy)
        # On a silent server all sessions are silent; if another one had an answer meanwhile, the statement was slow.
        is_suspect = self._answered_at < since if isinstance(why, PostgresSilent) else why.is_session_suspect
        if is_suspect and now - self._renewed_at >= RENEWAL_SECONDS:
            self._renewed_at = now
            await self._pool.expire_connections()

    def refused_write(self) -> PostgresUnavailable | None:
        """Return the reason why PostgreSQL refused a write a moment ago, or None."""
        if self._refused_write is None:
            return None
        at, why = self._refused_write
        return why if asyncio.get_running_loop().time() - at < MEMORY_SECONDS else None

    async def _run(self, ask: Callable[[Connection], Awaitable[T]]) -> T:
        """Run one call on a session, like `acquire` but faster, since readers do nothing else."""
        since = asyncio.get_running_loop().time()
        try:
            connection = await self._pool.acquire()
            try:
                answer = await ask(connection)
            except BaseException:
                await self._release_after_failure(connection)
                raise
            await self._release(connection)
        except OUTAGES as error:
            if why := await self._meaning_of(error, since):
                raise why from error
            raise
        self._note_answer()
        return answer

    async def _release(self, connection: Connection) -> None:
        with contextlib.suppress(TimeoutError):
            await self._pool.release(cast("PoolConnectionProxy[Row]", connection), timeout=RELEASE_SECONDS)

    async def _release_after_failure(self, connection: Connection) -> None:
        """Release the session in a task of its own, which keeps the outcome of the release.

        A session of a silent server cannot be closed in time, and if the caller is cancelled once more meanwhile,
        asyncio would log that failure.
        """
        await asyncio.shield(self._release(connection))

    async def _meaning_of(self, error: Exception, since: float) -> PostgresUnavailable | None:
        """Return the outage behind the error of a call that began at `since`; None if it is one itself, or a fault."""
        why = unavailable(error)
        if why is not None:
            await self.take_note(why, since=since)
        return None if why is error else why

    def _note_answer(self) -> None:
        self._answered_at = asyncio.get_running_loop().time()
        if self._is_down:
            self._is_down = False
            _log.info("PostgreSQL available again")
