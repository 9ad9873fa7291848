"""The limits of how often callers may ask, put together from the settings, with connections to Redis of their own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any, cast

from limits.aio.storage import RedisStorage
from redis.asyncio import BlockingConnectionPool

from skyhold.bootstrap.addresses import require_redis_url
from skyhold.redis_clients import close, retry
from skyhold.settings import Settings
from skyhold.web.edge.limits import WAIT_SECONDS, RateLimits
from skyhold.web.identity import GuestCookies
from skyhold.web.seals import Seals

CONNECTIONS = 64
"""Each request takes two for a moment; one that finds none free for as long as it may wait is counted locally."""

KEY_PREFIX = "rate"

PROBE_COUNTER = f"{KEY_PREFIX}:{{skyhold}}:probe"
"""A name like those of counters that is never counted under, for a probe of the rights."""


def probe_counter(settings: Settings) -> str | None:
    """Return the key by which a probe tries the right to count requests; None if they are not counted."""
    return None if settings.rate_limit is None else PROBE_COUNTER


@contextlib.asynccontextmanager
async def open_limits(settings: Settings, seals: Seals, cookies: GuestCookies) -> AsyncIterator[RateLimits | None]:
    """Make the limits of the settings, over a Redis that may be away; None if they are off.

    Raises:
        MissingSettingError: REDIS_URL is not set.
        BadSettingError: it is no address of Redis.
    """
    if settings.rate_limit is None:
        yield None
        return
    pool = BlockingConnectionPool.from_url(
        require_redis_url(settings.redis_url),
        max_connections=CONNECTIONS,
        timeout=WAIT_SECONDS,
        socket_timeout=WAIT_SECONDS,
        socket_connect_timeout=WAIT_SECONDS,
        retry=retry(1),
    )
    # The address is the pool's; the storage only learns from its own which client it talks through.
    storage = RedisStorage(
        "async+redis://",
        wrap_exceptions=True,
        implementation="redispy",
        key_prefix=KEY_PREFIX,
        connection_pool=cast("Any", pool),
    )
    try:
        yield RateLimits(settings.rate_limit, storage, seals, cookies)
    finally:
        await close(pool)
