from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from skyhold.bootstrap.api import open_api
from skyhold.events.feed import Publisher
from skyhold.postgresql.pools import Pool
from skyhold.settings import Settings
from skyhold.stores.seat_locks import SeatLocks
from skyhold_local.embedded.servers import Servers
from support.activity_runner import ActivityRunner, a_flight
from support.gateways import ScriptedGateway
from support.patience import patient_redis
from support.services import SECRET_KEY
from support.streams import Api, served


@pytest.fixture
def settings(database_url: str, redis_url: str, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("TEMPORAL_ADDRESS", servers.temporal_address)
    return Settings(database_url=database_url, redis_url=redis_url, secret_key=SECRET_KEY)


@pytest.fixture
async def product_redis(redis_url: str) -> AsyncIterator[Redis]:
    """The client of a worker."""
    redis = patient_redis(redis_url)
    yield redis
    await redis.aclose()


@pytest.fixture
async def publisher(product_redis: Redis) -> AsyncIterator[Publisher]:
    publisher = Publisher(product_redis)
    yield publisher
    await publisher.aclose()


@pytest.fixture
def desk(pool: Pool, product_redis: Redis, publisher: Publisher) -> ActivityRunner:
    """A desk whose changes are published."""
    return ActivityRunner(pool, SeatLocks(product_redis), ScriptedGateway(pool), publish=publisher.publish)


@pytest.fixture
def silent_desk(desk: ActivityRunner) -> ActivityRunner:
    """A desk whose events are all lost."""
    return replace(desk, publish=lambda _: None)


@pytest.fixture
async def api(settings: Settings) -> AsyncIterator[Api]:
    """An API without a worker, on a port of its own."""
    async with open_api(settings) as app, served(app) as api:
        yield api


@pytest.fixture
def compared(api: Api, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set when the API has resynchronised for the first time, which it does when it starts to read events."""
    compared, resync = asyncio.Event(), api.live.orders.resync

    async def compare_and_say_so() -> None:
        await resync()
        compared.set()

    monkeypatch.setattr(api.live.orders, "resync", compare_and_say_so)
    return compared


@pytest.fixture
async def flight(pool: Pool) -> str:
    return await a_flight(pool, [f"{row}{letter}" for row in range(1, 6) for letter in "ABCD"])
