"""The rate limits, composed from the settings, with connections to Redis of their own."""

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
from skyhold.web.signing import Signer

CONNECTIONS = 64
"""A request uses two for a moment; if none becomes free in `WAIT_SECONDS`, it is counted locally."""

KEY_PREFIX = "rate"

PROBE_COUNTER = f"{KEY_PREFIX}:{{skyhold}}:probe"
"""A key with a counter's prefix that is never used as a counter, to probe the rights."""


def probe_counter(settings: Settings) -> str | None:
    """Return the key with which a probe checks the right to count requests; None if they are not counted."""
    return None if settings.rate_limit is None else PROBE_COUNTER


@contextlib.asynccontextmanager
async def open_limits(settings: Settings, signer: Signer, cookies: GuestCookies) -> AsyncIterator[RateLimits | None]:
    """Create the rate limits of the settings, on a Redis that may be unavailable; None if they are off.

    Raises:
        MissingSettingError: REDIS_URL is not set.
        BadSettingError: it is not an address of Redis.
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
    # The pool has the real address; the storage's own address only selects the client library.
    storage = RedisStorage(
        "async+redis://",
        wrap_exceptions=True,
        implementation="redispy",
        key_prefix=KEY_PREFIX,
        connection_pool=cast("Any", pool),
    )
    try:
        yield RateLimits(settings.rate_limit, storage, signer, cookies)
    finally:
        await close(pool)
