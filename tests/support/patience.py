"""Redis clients with longer timeouts than the product's, for tests that are not about timeouts."""

from __future__ import annotations

from redis.asyncio import Redis

from skyhold.stores.seat_locks import open_redis

SECONDS = 20.0


def patient_redis(url: str) -> Redis:
    """Return the product's client, with timeouts that a slow Redis on a busy machine does not exceed."""
    redis = open_redis(url)
    redis.connection_pool.connection_kwargs |= {"socket_timeout": SECONDS, "socket_connect_timeout": SECONDS}
    return redis
