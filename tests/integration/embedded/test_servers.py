"""Real servers, started, stopped, killed."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import asyncpg
import psutil
import pytest
from redis.asyncio import Redis
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from integration.embedded.up_process import runs, wait_until
from skyhold_local.embedded.child import Child
from skyhold_local.embedded.data_directory import DataDirectory
from skyhold_local.embedded.errors import DirectoryInUse
from skyhold_local.embedded.servers import Servers, running_servers


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    path = Path(tempfile.mkdtemp(prefix="embedded-"))
    path.chmod(0o711)
    with running_servers(path) as servers:
        yield servers
    assert not path.exists()
    shutil.rmtree(path, ignore_errors=True)


def _every(servers: Servers) -> list[Child]:
    return [servers.postgres, servers.redis, servers.temporal]


def _is_a_backend_at_work(pid: int) -> bool:
    """Return whether the process runs a statement, by the title that PostgreSQL gives it."""
    return any("SELECT" in " ".join(backend.cmdline()) for backend in psutil.Process(pid).children())


async def test_all_three_serve_clients(servers: Servers) -> None:
    connection = await asyncpg.connect(servers.database_url)
    assert await connection.fetchval("SELECT current_database()") == "skyhold"
    assert await connection.fetchval("SHOW server_encoding") == "UTF8"
    await connection.close()
    async with Redis.from_url(servers.redis_url) as redis:
        assert await redis.ping()
    client = await Client.connect(servers.temporal_address)
    assert await client.service_client.check_health()


async def test_postgres_takes_no_one_without_the_password(servers: Servers) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(servers.database_url, password="guessed")


async def test_postgres_killed_comes_back_on_its_port_with_its_data(servers: Servers) -> None:
    port = servers.postgres.port
    connection = await asyncpg.connect(servers.database_url)
    await connection.execute("CREATE TABLE survivors AS SELECT 42 AS answer")
    # A working backend outlives its server for a moment and must not block the next one.
    asleep = asyncio.create_task(connection.execute("SELECT pg_sleep(60)"))
    await asyncio.to_thread(wait_until, lambda: _is_a_backend_at_work(servers.postgres.pid))
    pid, inside = servers.postgres.pid, psutil.Process(servers.postgres.pid).children()
    servers.postgres.kill()
    assert not servers.postgres.is_running()
    servers.postgres.start()
    with pytest.raises((asyncpg.PostgresError, ConnectionError)):
        await asleep
    assert servers.postgres.port == port
    assert servers.postgres.pid != pid
    assert not [backend for backend in inside if runs(backend)]
    connection = await asyncpg.connect(servers.database_url)
    assert await connection.fetchval("SELECT answer FROM survivors") == 42
    await connection.close()


async def test_redis_killed_comes_back_with_every_acknowledged_write(servers: Servers) -> None:
    port = servers.redis.port
    async with Redis.from_url(servers.redis_url) as redis:
        for number in range(200):
            await redis.set(f"write-{number}", number)
        # A killed process loses little even without it, but a power loss would.
        assert await redis.config_get("appendfsync") == {"appendfsync": "always"}
    servers.redis.kill()
    servers.redis.start()
    assert servers.redis.port == port
    async with Redis.from_url(servers.redis_url) as redis:
        assert await redis.mget([f"write-{number}" for number in range(200)]) == [
            str(number).encode() for number in range(200)
        ]


async def test_temporal_killed_comes_back_with_its_workflows(servers: Servers) -> None:
    port, ui_port = servers.temporal.port, servers.temporal.ui_port
    client = await Client.connect(servers.temporal_address)
    await client.start_workflow("Nobody", id="survivor", task_queue="nobody", execution_timeout=timedelta(minutes=5))
    servers.temporal.kill()
    servers.temporal.start()
    assert (servers.temporal.port, servers.temporal.ui_port) == (port, ui_port)
    client = await Client.connect(servers.temporal_address)
    description = await client.get_workflow_handle("survivor").describe()
    assert description.id == "survivor"
    with pytest.raises(RPCError) as missing:
        await client.get_workflow_handle("never-started").describe()
    assert missing.value.status is RPCStatusCode.NOT_FOUND


async def test_temporal_knows_the_search_attribute(servers: Servers) -> None:
    client = await Client.connect(servers.temporal_address)
    known = await client.operator_service.list_search_attributes(ListSearchAttributesRequest(namespace="default"))
    assert known.custom_attributes["SkyholdOrderStatus"] == IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD


@pytest.mark.parametrize("name", ["postgres", "redis", "temporal"])
def test_a_stopped_server_starts_again_on_its_port(servers: Servers, name: str) -> None:
    server = {child.name: child for child in _every(servers)}[name]
    port = server.port
    server.stop()
    assert server.exit_code is not None
    assert not server.is_ready()
    server.start()
    assert server.is_ready()
    assert server.port == port


def test_nothing_listens_beyond_loopback(servers: Servers) -> None:
    listening = [
        connection.laddr.ip
        for server in _every(servers)
        for process in (psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True))
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 4
    assert set(listening) == {"127.0.0.1"}


def test_passwords_stand_in_no_command_line(servers: Servers) -> None:
    secrets = servers.postgres.directory.secrets
    for server in _every(servers):
        line = " ".join(psutil.Process(server.pid).cmdline())
        assert secrets.database_password not in line
        assert secrets.redis_password not in line


def test_their_directory_is_refused_to_a_second_one(servers: Servers) -> None:
    with pytest.raises(DirectoryInUse, match=r"by the Skyhold of pid \d+; stop that first"):
        DataDirectory.open(servers.postgres.directory.path)


@pytest.mark.long
def test_two_sets_run_side_by_side(servers: Servers, scratch: Path) -> None:
    with running_servers(scratch / "other") as others:
        ports = {server.port for both in (servers, others) for server in _every(both)}
        assert len(ports) == 6
        assert all(server.is_ready() for both in (servers, others) for server in _every(both))


def test_a_directory_may_have_any_name(scratch: Path) -> None:
    with running_servers(scratch / 'a "b" %20?x=[1] #ü\\ c') as others:
        assert all(server.is_ready() for server in _every(others))
