from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis

from skyhold_local.embedded.servers import Servers
from support.commands import Service, Skyhold

_FOREIGN = ("DATABASE_URL", "REDIS_URL", "SKYHOLD_", "TEMPORAL_", "SERVER_", "LOG_", "SECRET_KEY", "XDG_")


@pytest.fixture(scope="module")
async def surroundings(servers: Servers, template_database: str) -> AsyncIterator[dict[str, str]]:
    """The variables of a service of this module, without the machine's; Redis is empty."""
    async with Redis.from_url(servers.redis_url) as redis:
        await redis.flushall()
    name = f"cli_{secrets.token_hex(4)}"
    connection = await asyncpg.connect(servers.database_url)
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template_database}")
    own = {key: value for key, value in os.environ.items() if not key.startswith(_FOREIGN)}
    yield own | {
        "DATABASE_URL": f"{servers.database_url.rpartition('/')[0]}/{name}",
        "REDIS_URL": servers.redis_url,
        "TEMPORAL_ADDRESS": servers.temporal_address,
        "TEMPORAL_CONFIG_FILE": os.devnull,
        "TEMPORAL_TASK_QUEUE": name,
        "PAYMENT_SIMULATED_LATENCY": "0s",
        "PAYMENT_FAILURE_RATE": "0",
        "SERVER_PORT": "0",
        "SECRET_KEY": secrets.token_urlsafe(32),
    }
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


@pytest.fixture
def skyhold(surroundings: dict[str, str], tmp_path: Path) -> Iterator[Skyhold]:
    """Runs commands in an empty directory, without the address of an API; commands that still run are killed.

    The task queue is the test's own, because Temporal remembers for a while which workers polled a queue.
    """
    own = {
        "SKYHOLD_STATE_DIR": str(tmp_path / "state"),
        "TEMPORAL_TASK_QUEUE": f"{surroundings['TEMPORAL_TASK_QUEUE']}-{secrets.token_hex(4)}",
    }
    skyhold = Skyhold(surroundings | own, tmp_path)
    yield skyhold
    skyhold.end()


@pytest.fixture(scope="module")
def service(surroundings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A worker and an API for all tests of the module."""
    runner = Skyhold(surroundings, tmp_path_factory.mktemp("service"))
    yield runner.start_service()
    runner.end()


@pytest.fixture
def customer(skyhold: Skyhold, service: Service, surroundings: dict[str, str]) -> Skyhold:
    """Runs commands with SKYHOLD_API and the task queue of the service."""
    of_service = {"SKYHOLD_API": service.address, "TEMPORAL_TASK_QUEUE": surroundings["TEMPORAL_TASK_QUEUE"]}
    return replace(skyhold, surroundings=skyhold.surroundings | of_service)
