"""The error for an unavailable PostgreSQL, whatever error the driver raises."""

from __future__ import annotations

import asyncio
from typing import Any, Self

import asyncpg
import pytest

from skyhold.domain.errors import DatabaseUnavailable
from skyhold.postgresql.errors import PostgresSilent
from skyhold.postgresql.pools import Pool
from skyhold.postgresql.sessions import Sessions
from skyhold.queries import database
from skyhold.queries.database import Database


class BrokenPool:
    """A pool whose sessions fail with the given errors, one after the other, and then work."""

    def __init__(self, *errors: Exception, seconds: float = 0) -> None:
        self.errors = list(errors)
        self.seconds = seconds
        self.renewals = 0

    async def acquire(self) -> Self:
        return self

    async def release(self, *_: object, **__: object) -> None: ...

    async def expire_connections(self) -> None:
        self.renewals += 1

    async def fetch(self, *_: Any, **__: Any) -> list[Any]:
        await asyncio.sleep(self.seconds)
        if self.errors:
            raise self.errors.pop(0)
        return []


def _over(pool: BrokenPool) -> Database:
    ours = Pool(Sessions("postgresql://me@127.0.0.1/skyhold", application="tests"))
    ours._pool = pool  # type: ignore[assignment]
    return Database(ours)


BROKEN = [
    asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress"),
    asyncpg.InterfaceError("connection is closed"),
    asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
    asyncpg.ReadOnlySQLTransactionError("cannot execute INSERT in a read-only transaction"),
    asyncpg.SerializationError("canceling statement due to conflict with recovery"),
    ConnectionResetError(),
]

AWAY = [
    TimeoutError(),
    OSError(),
    asyncpg.DiskFullError("could not extend file"),
    asyncpg.CannotConnectNowError("starting"),
]


@pytest.mark.parametrize("error", BROKEN, ids=lambda error: type(error).__name__)
async def test_a_statement_that_a_broken_session_did_not_run_is_run_again(error: Exception) -> None:
    assert await _over(BrokenPool(error)).rows("SELECT 1") == []


@pytest.mark.parametrize("error", [*BROKEN, *AWAY], ids=lambda error: type(error).__name__)
async def test_a_server_that_cannot_do_its_work_is_unavailable(error: Exception) -> None:
    with pytest.raises(DatabaseUnavailable):
        await _over(BrokenPool(error, error)).rows("SELECT 1")


async def test_a_fault_of_ours_is_no_outage() -> None:
    with pytest.raises(asyncpg.DataError):
        await _over(BrokenPool(asyncpg.DataError("invalid input for query argument $1"))).rows("SELECT 1")


async def test_a_reader_waits_for_a_silent_server_no_longer_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "READ_TIMEOUT", 0.05)
    pool = BrokenPool(seconds=60)
    with pytest.raises(PostgresSilent):
        await _over(pool).rows("SELECT 1")
    assert pool.renewals == 1, "the other sessions are silent, too"
