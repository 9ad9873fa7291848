"""How the ledger is read: one bounded statement at a time, and one error for whatever keeps PostgreSQL from answering.

Owns neither the pool nor any statement.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from skyhold.postgresql.errors import PostgresReadOnly, PostgresSilent, PostgresUnavailable
from skyhold.postgresql.pools import Pool
from skyhold.postgresql.sessions import Row

READ_TIMEOUT = 2.0
"""Seconds that a reader waits for its rows, for a session and for a second try too."""


IS_READ_ONLY = "current_setting('transaction_read_only') = 'on' AS is_read_only"
"""A column by which a read before a command finds out whether the command could be written at all.

Its statement must return a row in any case: of a server that only reads, what is missing there proves nothing.
"""


class Database:
    """PostgreSQL as the readers see it."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def rows(self, statement: str, *values: Any) -> list[Row]:
        """Return all rows of the statement.

        One that a broken session or a demoted server did not run is run again by the next session, so that a restart in
        between is not noticed.

        Raises:
            PostgresUnavailable: PostgreSQL does not answer in time.
        """
        return await self._answered(lambda: self._pool.fetch(statement, *values))

    async def row(self, statement: str, *values: Any) -> Row | None:
        """Return the first row of the statement, or None.

        Raises:
            PostgresUnavailable: PostgreSQL does not answer in time.
        """
        rows = await self.rows(statement, *values)
        return rows[0] if rows else None

    async def row_before_write(self, statement: str, *values: Any) -> Row | None:
        """Return the first row of a statement that has the column `IS_READ_ONLY`, from a server that writes.

        Raises:
            PostgresReadOnly: no such server is there.
            PostgresUnavailable: PostgreSQL does not answer in time.
        """
        rows = await self._answered(lambda: self._fetch_before_write(statement, values))
        return rows[0] if rows else None

    async def _fetch_before_write(self, statement: str, values: tuple[Any, ...]) -> list[Row]:
        rows = await self._pool.fetch(statement, *values)
        if rows and rows[0]["is_read_only"]:
            why = PostgresReadOnly("the server only reads")
            await self._pool.take_note(why)
            raise why
        return rows

    async def _answered(self, fetch: Callable[[], Awaitable[list[Row]]]) -> list[Row]:
        since = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(READ_TIMEOUT):
                try:
                    return await fetch()
                except PostgresUnavailable as failure:
                    if not failure.is_worth_another_try:
                        raise
                    return await fetch()
        except TimeoutError as silence:
            why = PostgresSilent()
            await self._pool.take_note(why, since=since)
            raise why from silence
