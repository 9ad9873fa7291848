"""Reading from the ledger: one statement at a time, with a timeout, and one error if PostgreSQL cannot answer.

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
"""Seconds that a reader waits for its rows, including the wait for a session and a retry."""


IS_READ_ONLY = "current_setting('transaction_read_only') = 'on' AS is_read_only"
"""A column that shows, in a precheck before a command, whether the server could write the command at all.

Its statement must always return a row: on a server that only reads, a missing row proves nothing.
"""


class Database:
    """Read access to PostgreSQL."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def rows(self, statement: str, *values: Any) -> list[Row]:
        """Return all rows of the statement.

        A statement that failed because of a broken session or a demoted server is retried on the next session, so that
        a restart of PostgreSQL is not noticed.

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
            PostgresReadOnly: the server only reads.
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
