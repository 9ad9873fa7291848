"""How a PostgreSQL that does not answer is told, whatever words its driver has for it."""

from __future__ import annotations

from typing import Any, Self

import asyncpg
import pytest

from skyhold.domain.errors import DatabaseUnavailable
from skyhold.queries.database import Database


class BrokenPool:
    """A pool whose every connection ends with the errors given, one after the other, and then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    async def acquire(self) -> Self:
        return self

    async def release(self, *_: object, **__: object) -> None: ...

    async def fetch(self, *_: Any, **__: Any) -> list[Any]:
        if self.errors:
            raise self.errors.pop(0)
        return []


BROKEN = [
    asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress"),
    asyncpg.InterfaceError("connection is closed"),
    asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
    ConnectionResetError(),
]


@pytest.mark.parametrize("error", BROKEN, ids=lambda error: type(error).__name__)
async def test_a_connection_that_broke_is_tried_once_more(error: Exception) -> None:
    assert await Database(BrokenPool(error)).rows("SELECT 1") == []  # type: ignore[arg-type]


@pytest.mark.parametrize("error", [*BROKEN, TimeoutError(), OSError()], ids=lambda error: type(error).__name__)
async def test_a_server_that_is_away_is_unavailable(error: Exception) -> None:
    with pytest.raises(DatabaseUnavailable):
        await Database(BrokenPool(error, error)).rows("SELECT 1")  # type: ignore[arg-type]
