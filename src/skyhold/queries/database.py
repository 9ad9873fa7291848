"""How the ledger is read: one bounded statement at a time, and one error for whatever keeps PostgreSQL from answering.

Owns neither the pool nor any statement.
"""

from __future__ import annotations

import asyncio
from typing import Any

from skyhold.postgresql.errors import PostgresSilent, PostgresUnavailable
from skyhold.postgresql.pools import Pool
from skyhold.postgresql.sessions import Row

READ_TIMEOUT = 2.0
"""Seconds that a reader waits for its rows, for a session and for a second try too."""


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
        since = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(READ_TIMEOUT):
                try:
                    return await self._pool.fetch(statement, *values)
                except PostgresUnavailable as failure:
                    if not failure.is_worth_another_try:
                        raise
                    return await self._pool.fetch(statement, *values)
        except TimeoutError as silence:
            why = PostgresSilent()
            await self._pool.take_note(why, since=since)
            raise why from silence

    async def row(self, statement: str, *values: Any) -> Row | None:
        """Return the first row of the statement, or None.

        Raises:
            PostgresUnavailable: PostgreSQL does not answer in time.
        """
        rows = await self.rows(statement, *values)
        return rows[0] if rows else None
