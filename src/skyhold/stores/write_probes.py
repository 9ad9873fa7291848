"""Probe writes: they prove that a server accepts a real write, and leave nothing behind.

PostgreSQL: a transaction that is assigned an id, writes a record to the write-ahead log, and is committed and flushed
like any other, through synchronous standbys too; and a temporary file, deleted at the end of the statement, for which
the data disk must have room. Neither touches a table. They cannot prove that a certain table can grow (it may be in
another tablespace, or under a quota), nor that the log will have room for its next file when the current one is full.

Redis: the calls used for seat locks, the stream of events and the counters of requests, in one script, on keys of
their own.
"""

from __future__ import annotations

from collections.abc import Awaitable
from importlib.resources import files
from typing import Any, cast

from redis.asyncio import Redis

from skyhold.domain.seats import SeatKey
from skyhold.postgresql.errors import PostgresReadOnly
from skyhold.postgresql.pools import Pool
from skyhold.readers.seat_locks import lock_name

# The temporary file holds rows that do not fit into the smallest work_mem: 140 kB. It is written before the log. A
# role that may not write temporary files can still book, so none is written for it.
_WRITE = """
WITH small AS MATERIALIZED (SELECT set_config('work_mem', '64kB', true) AS memory),
size AS MATERIALIZED (
    SELECT CASE WHEN pg_size_bytes(current_setting('temp_file_limit')) BETWEEN 0 AND 1048576 THEN 0 ELSE 10000 END
           + 0 * length(small.memory) AS rows FROM small),
room AS MATERIALIZED (SELECT count(*) AS rows FROM size, generate_series(1, size.rows))
SELECT pg_logical_emit_message(true, 'skyhold', '') FROM room
"""

_IS_READ_ONLY = "SELECT current_setting('transaction_read_only') = 'on'"

_FLIGHT = "skyhold"
"""The hash tag of the probe's keys; no flight has such an id, so no lock ever has such a name."""

_PROBE_LOCK = "{skyhold}:probe"
_PROBE_STREAM = "{skyhold}:events:probe"

LIFE_MILLISECONDS = 1000
"""After this time the keys are gone even if Redis accepted them and refused to delete them."""


class PostgresWriteProbe:
    """Writes to PostgreSQL without a trace."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def write(self) -> None:
        """Return when PostgreSQL has accepted a write.

        Raises:
            PostgresUnavailable: it did not.
        """
        async with self._pool.acquire() as connection:
            if await connection.fetchval(_IS_READ_ONLY):
                raise PostgresReadOnly("the server only reads")
            await connection.execute(_WRITE)


class RedisWriteProbe:
    """Writes to Redis without a trace."""

    def __init__(self, redis: Redis, *, counter: str | None = None) -> None:
        """Probe for locks and events, and with `counter`, a key that must not exist, for the counters of requests."""
        script = files("skyhold.stores").joinpath("lua", "probe.lua").read_text()
        self._write = redis.register_script(script)
        # A user may be restricted to certain names.
        self._keys = [_PROBE_LOCK, _PROBE_STREAM, lock_name(SeatKey(_FLIGHT, "probe")), *([counter] if counter else [])]

    async def write(self) -> None:
        """Return when Redis has accepted the kinds of writes that Skyhold uses.

        Raises:
            RedisError: it did not.
        """
        await cast("Awaitable[Any]", self._write(keys=self._keys, args=[1, LIFE_MILLISECONDS]))
