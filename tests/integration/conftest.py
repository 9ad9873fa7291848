"""One database for all tests that use only flights and orders of their own: one for each would be slow."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis

from skyhold.postgresql.pools import Pool, open_pool
from skyhold.stores.seat_locks import SeatLocks
from skyhold_local.embedded.data_directory import DataDirectory
from skyhold_local.embedded.servers import Servers
from skyhold_local.embedded.valkey import ValkeyServer
from support.activity_runner import ActivityRunner
from support.gateways import ScriptedGateway
from support.patience import patient_redis
from support.roles import ROLE_PASSWORD, run_sql

REDIS_USER = "app"
"""A user that tests create on a Valkey of their own."""


@pytest.fixture(scope="module")
def passable_path() -> Iterator[Path]:
    """A directory that an unprivileged user can pass through, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="integration-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def own_valkey(passable_path: Path) -> Iterator[ValkeyServer]:
    """A Valkey for one module alone, which may break it."""
    data = DataDirectory.open(passable_path / "valkey", is_ephemeral=True)
    server = ValkeyServer(data)
    server.start()
    yield server
    server.stop()
    data.close()


@pytest.fixture
async def own_valkey_admin(own_valkey: ValkeyServer) -> AsyncIterator[Redis]:
    """A client of it with all rights; its configuration changes are undone."""
    async with aclosing(Redis.from_url(own_valkey.url, decode_responses=True)) as admin:
        yield admin
        await admin.config_set("maxmemory", "0")
        await admin.config_set("min-replicas-to-write", "0")
        await admin.replicaof("NO", "ONE")
        await admin.acl_deluser(REDIS_USER)
        await admin.flushall()


@pytest.fixture
async def plain_role(servers: Servers, database_url: str) -> AsyncIterator[str]:
    """The name of a role that may only log in; its objects in the test's database are dropped with it."""
    name = f"plain_{secrets.token_hex(4)}"
    await run_sql(servers.database_url, f"CREATE ROLE {name} LOGIN PASSWORD '{ROLE_PASSWORD}'")
    yield name
    await run_sql(database_url, f"DROP OWNED BY {name} CASCADE")
    await run_sql(servers.database_url, f"DROP ROLE {name}")


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
    """The product's client with longer timeouts, on a Redis with keys of other tests."""
    redis = patient_redis(servers.redis_url)
    yield redis
    await redis.aclose()


@pytest.fixture
def desk(shared_pool: Pool, shared_redis: Redis) -> ActivityRunner:
    """A desk over the shared stores; its gateway answers at once and never fails."""
    return ActivityRunner(shared_pool, SeatLocks(shared_redis), ScriptedGateway(shared_pool))
