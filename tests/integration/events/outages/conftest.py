"""Servers that tests may stop, and the API, desk and flight on them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from skyhold.bootstrap import ledger
from skyhold.bootstrap.api import open_api
from skyhold.events.feed import Publisher
from skyhold.postgresql.pools import Pool, open_pool
from skyhold.settings import Settings
from skyhold.stores.seat_locks import SeatLocks, open_redis
from skyhold_local.embedded.servers import Servers, running_servers
from support.activity_runner import ActivityRunner, a_flight
from support.gateways import ScriptedGateway
from support.services import SECRET_KEY
from support.streams import Api, served

SEATS = [f"{row}A" for row in range(1, 10)]


@pytest.fixture(scope="module")
def own_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with running_servers(tmp_path_factory.mktemp("outages"), temporal=False) as servers:
        yield servers


@pytest.fixture
async def settings(own_servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    settings = Settings(database_url=own_servers.database_url, redis_url=own_servers.redis_url, secret_key=SECRET_KEY)
    await ledger.migrate(settings)
    return settings


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[Pool]:
    pool = await open_pool(settings.database_url or "", application="tests")
    yield pool
    pool.terminate()


@pytest.fixture
async def desk(settings: Settings, pool: Pool) -> AsyncIterator[ActivityRunner]:
    redis = open_redis(settings.redis_url or "")
    publisher = Publisher(redis)
    yield ActivityRunner(pool, SeatLocks(redis), ScriptedGateway(pool), publish=publisher.publish)
    await publisher.aclose()
    await redis.aclose()


@pytest.fixture
async def api(settings: Settings) -> AsyncIterator[Api]:
    async with open_api(settings) as app, served(app) as api:
        yield api


@pytest.fixture
async def flight(pool: Pool) -> str:
    return await a_flight(pool, SEATS)
