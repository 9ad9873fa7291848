"""Storage of idempotency keys: one row for each key and day, and costs that do not grow with their number."""

from __future__ import annotations

import asyncio
import secrets
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from skyhold.domain.idempotency import KeyedCommand
from skyhold.postgresql.pools import Pool
from skyhold.queries import database
from skyhold.queries.database import Database
from skyhold.stores.idempotency import IdempotencyStore

_SOW = """
INSERT INTO idempotency_keys (scope, key_hash, request_hash, order_id, update_id, remembered_at)
SELECT 'a-guest', decode(md5(number::text), 'hex'), 'request', 'an-order', 'an-update', clock_timestamp() - $2::interval
FROM generate_series(1, $1) AS number
"""

COMMAND = KeyedCommand(b"another request", "another-order", "another-update")


class ExplainedStatements:
    """Runs statements, and records their query plans."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.plan = ""

    async def row(self, statement: str, *values: Any) -> asyncpg.Record | None:
        self.plan = "\n".join(line[0] for line in await self._database.rows(f"EXPLAIN {statement}", *values))
        return await self._database.row(statement, *values)


async def test_remembering_a_name_reads_no_more_the_more_names_there_are(pool: Pool) -> None:
    await pool.execute(_SOW, 5000, timedelta(hours=1))
    await pool.execute("ANALYZE idempotency_keys")
    statements = ExplainedStatements(Database(pool))
    assert await IdempotencyStore(statements).remember("a-guest", secrets.token_bytes(32), COMMAND) == COMMAND
    assert "idempotency_keys_by_age" in statements.plan
    assert "Seq Scan" not in statements.plan


async def test_names_past_their_day_that_are_used_again_and_forgotten_at_once_keep_nobody_waiting(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "READ_TIMEOUT", 60.0)  # three hundred at once, and the machine may be busy
    await pool.execute(_SOW, 100, timedelta(hours=25))
    store, keys = IdempotencyStore(Database(pool)), await pool.fetch("SELECT key_hash FROM idempotency_keys")
    async with asyncio.timeout(60):
        known = await asyncio.gather(
            *(store.remember("a-guest", row["key_hash"], COMMAND) for row in keys for _ in range(3))
        )
    assert known == [COMMAND] * 300
    assert await pool.fetchval("SELECT count(*) FROM idempotency_keys WHERE order_id = 'another-order'") == 100
