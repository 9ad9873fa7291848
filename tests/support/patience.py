"""Clients of Redis that wait longer than those of the product, where a test is not about how long they wait."""

from __future__ import annotations

from redis.asyncio import Redis

from skyhold.stores.seat_locks import open_redis

SECONDS = 20.0


def patient_redis(url: str) -> Redis:
    """Return the client of the product, to whom a Redis that a busy machine keeps waiting is not away."""
    redis = open_redis(url)
    redis.connection_pool.connection_kwargs |= {"socket_timeout": SECONDS, "socket_connect_timeout": SECONDS}
    return redis
