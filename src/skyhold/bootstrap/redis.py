"""A client of Redis or Valkey, composed from the settings."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from redis.asyncio import Redis

from skyhold.bootstrap.addresses import require_redis_url
from skyhold.redis_clients import close
from skyhold.settings import Settings
from skyhold.stores.seat_locks import open_redis


@contextlib.asynccontextmanager
async def open_redis_of(settings: Settings) -> AsyncIterator[Redis]:
    """Open a client of Redis, which may be unavailable: the client connects when it is used.

    Raises:
        MissingSettingError: REDIS_URL is not set.
        BadSettingError: it is not an address of Redis.
    """
    redis = open_redis(require_redis_url(settings.redis_url))
    try:
        yield redis
    finally:
        await close(redis)
