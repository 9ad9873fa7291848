"""A process's completed work counts, however long a server takes to close a connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from skyhold.bootstrap.limits import open_limits
from skyhold.bootstrap.live import open_live
from skyhold.bootstrap.redis import open_redis_of
from skyhold.settings import Settings
from skyhold.web.signing import Signer
from support.services import SECRET_KEY
from support.web import a_guests_cookies


@asynccontextmanager
async def _redis(settings: Settings) -> AsyncIterator[None]:
    async with open_redis_of(settings) as redis:
        assert await redis.ping()
        yield


@asynccontextmanager
async def _limits(settings: Settings) -> AsyncIterator[None]:
    signer = Signer(SECRET_KEY)
    async with open_limits(settings, signer, a_guests_cookies(signer)) as limits:
        assert limits
        assert await limits._storage.incr("rate:a-test", 60) == 1
        yield


@asynccontextmanager
async def _live(settings: Settings) -> AsyncIterator[None]:
    nobody_asks: Any = None
    async with open_live(settings, nobody_asks) as live:
        feed: Any = live._feed
        assert await feed._redis.ping()
        yield


@pytest.mark.parametrize("used", [_redis, _limits, _live])
async def test_a_connection_to_redis_that_does_not_close_in_time_is_no_failure(
    used: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = False

    async def wait_for_ever(_: asyncio.StreamWriter) -> None:
        nonlocal waited
        waited = True
        await asyncio.Event().wait()

    async with used(Settings(redis_url=redis_url, secret_key=SECRET_KEY)):
        monkeypatch.setattr(asyncio.StreamWriter, "wait_closed", wait_for_ever)
    assert waited
