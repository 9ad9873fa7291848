"""One database for all the tests that keep to flights and orders of their own: making one for each would cost most."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest
from redis.asyncio import Redis

from skyhold.embedded.servers import Servers
from skyhold.postgresql.pools import Pool, open_pool
from skyhold.stores.seat_locks import SeatLocks
from support.desks import Desk
from support.gateways import ScriptedGateway
from support.patience import patient_redis


@pytest.fixture(scope="session")
async def shared_pool(servers: Servers, template_database: str) -> AsyncIterator[Pool]:
    connection = await asyncpg.connect(servers.database_url)
    await connection.execute(f"CREATE DATABASE shared TEMPLATE {template_database}")
    await connection.close()
    pool = await open_pool(f"{servers.database_url.rpartition('/')[0]}/shared", application="tests")
    yield pool
    pool.terminate()


@pytest.fixture
async def shared_redis(servers: Servers) -> AsyncIterator[Redis]:
    """A client as the product makes it, though patient, with whatever other tests left in Redis."""
    redis = patient_redis(servers.redis_url)
    yield redis
    await redis.aclose()


@pytest.fixture
def desk(shared_pool: Pool, shared_redis: Redis) -> Desk:
    """A desk over the shared stores; its gateway answers at once and never fails."""
    return Desk(shared_pool, SeatLocks(shared_redis), ScriptedGateway(shared_pool))
