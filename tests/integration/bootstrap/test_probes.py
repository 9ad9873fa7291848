"""Probes of servers that answer but cannot do their work: their results, and that they leave nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import asyncpg
import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from integration.conftest import REDIS_USER
from skyhold.audit.locks import SeatLockReader
from skyhold.bootstrap import api
from skyhold.bootstrap.given import require_given
from skyhold.bootstrap.limits import PROBE_COUNTER, open_limits
from skyhold.cli.failures import ExitCode, Failure
from skyhold.cli.servers import explained
from skyhold.domain.seats import keys_of
from skyhold.events.changes import Change
from skyhold.events.feed import Publisher, Reader, open_reader_redis
from skyhold.health.postgresql import postgresql_failure, postgresql_probe, schema_probe
from skyhold.health.redis import redis_probe
from skyhold.health.verdict import Checks, Probe, ProbeFailure, ask_all
from skyhold.postgresql.errors import PostgresDiskFull, unavailable
from skyhold.postgresql.pools import Pool, open_pool
from skyhold.queries.database import Database
from skyhold.queries.servers import ServerQueries
from skyhold.settings import Settings
from skyhold.stores.seat_locks import SeatLocks, open_redis
from skyhold.web.edge import limits as web_limits
from skyhold.web.signing import Signer
from skyhold_local.embedded.data_directory import DataDirectory
from skyhold_local.embedded.postgres import PostgresServer
from skyhold_local.embedded.servers import Servers
from skyhold_local.embedded.valkey import ValkeyServer
from support.bookings import until
from support.preloads import preload
from support.replicas import Replica, running_replicas
from support.roles import as_role, run_sql
from support.web import a_guests_cookies

pytestmark = pytest.mark.rest

RIGHTS = "~seat:lock:* ~{skyhold}:* ~rate:* +@read +@write +@scripting +@connection +info +time"
"""The rights that docs/runbook.md lists."""


async def _user_with(admin: Redis, rights: str) -> str:
    """Create a user with exactly these rights, and return the address with it."""
    await cast("Any", admin).execute_command("ACL", "SETUSER", REDIS_USER, "on", ">secret", *rights.split())
    where = admin.connection_pool.connection_kwargs
    return f"redis://{REDIS_USER}:secret@{where['host']}:{where['port']}/0"


async def _said(url: str) -> ProbeFailure | None:
    async with aclosing(open_redis(url)) as redis:
        found = await redis_probe(redis, lambda: None, counter=PROBE_COUNTER)()
        assert not isinstance(found, str)
        return found


async def test_a_redis_that_does_its_work_is_well_and_nothing_is_left_in_it(
    own_valkey: ValkeyServer, own_valkey_admin: Redis
) -> None:
    seen: set[str] = set()

    async def watch() -> None:
        while True:
            seen.update([key async for key in own_valkey_admin.scan_iter("*")])

    watching = asyncio.create_task(watch())
    for _ in range(50):
        assert await _said(own_valkey.url) is None
    watching.cancel()
    assert (seen, await own_valkey_admin.keys("*")) == (set(), [])


async def test_a_redis_without_memory_says_so(own_valkey: ValkeyServer, own_valkey_admin: Redis) -> None:
    await own_valkey_admin.config_set("maxmemory", "1mb")
    found = await _said(own_valkey.url)
    assert found is not None
    assert (found.reason, found.is_partial) == ("out of memory", True)
    assert "maxmemory" in (found.remedy or "")
    await own_valkey_admin.config_set("maxmemory", "0")
    assert await _said(own_valkey.url) is None


async def test_a_redis_that_only_reads_says_so(own_valkey: ValkeyServer, own_valkey_admin: Redis) -> None:
    await own_valkey_admin.replicaof("127.0.0.1", "1")
    found = await _said(own_valkey.url)
    assert found is not None
    assert (found.reason, found.is_partial) == ("only reads", True)
    assert "REDIS_URL" in (found.remedy or "")


async def test_a_redis_that_waits_for_replicas_says_so(own_valkey: ValkeyServer, own_valkey_admin: Redis) -> None:
    await own_valkey_admin.config_set("min-replicas-to-write", "1")
    found = await _said(own_valkey.url)
    assert found is not None
    assert found.reason == "refused: NOREPLICAS Not enough good replicas to write"


@pytest.mark.parametrize(
    "lacking",
    [
        *("-xadd", "-del", "-set", "-evalsha -eval", "resetkeys ~{skyhold}:*", "resetkeys ~seat:lock:*"),
        *("-xread", "-xrange", "-xrevrange", "-incrby", "-expire", "-pttl", "-scan"),
        *("resetkeys ~seat:lock:* ~{skyhold}:*", "resetkeys %R~seat:lock:* ~{skyhold}:* ~rate:*"),
    ],
)
async def test_a_missing_right_on_redis_is_named(lacking: str, own_valkey_admin: Redis) -> None:
    found = await _said(await _user_with(own_valkey_admin, f"{RIGHTS} {lacking}"))
    assert found is not None
    assert found.reason.startswith("a right is missing: "), found
    assert "runbook" in (found.remedy or "")

    async def is_empty() -> bool | None:
        return await own_valkey_admin.keys("*") == [] or None

    await until(is_empty, what="what could not be deleted to be gone by itself")


async def test_counters_need_no_right_where_requests_are_not_counted(own_valkey_admin: Redis) -> None:
    url = await _user_with(own_valkey_admin, f"{RIGHTS} resetkeys ~seat:lock:* ~{{skyhold}}:*")
    async with aclosing(open_redis(url)) as redis:
        assert await redis_probe(redis, lambda: None)() is None


async def test_a_redis_that_refuses_the_password_or_the_database_is_named_as_a_bad_address(
    own_valkey_admin: Redis,
) -> None:
    url = await _user_with(own_valkey_admin, RIGHTS)
    for bad, reason in (
        (url.replace(":secret@", ":hunter2@"), "refuses the user or the password"),
        (url.replace(f"//{REDIS_USER}:", "//unknown:"), "refuses the user or the password"),
        (url.replace("/0", "/9999"), "refuses the number of the database"),
    ):
        found = await _said(bad)
        assert found is not None
        assert (found.reason, found.is_partial, found.is_misconfigured) == (reason, False, True)
        assert "REDIS_URL" in (found.remedy or "")
        with pytest.raises(Failure, match=reason) as failure, explained(Settings(redis_url=bad)):
            await require_given(Settings(redis_url=bad), ["REDIS_URL"])
        assert failure.value.exit_code is ExitCode.USAGE
        assert "hunter2" not in str(failure.value)


async def test_a_redis_that_lacks_a_right_is_a_warning_at_the_start(own_valkey_admin: Redis) -> None:
    url = await _user_with(own_valkey_admin, f"{RIGHTS} -xadd")
    with capture_logs() as logged:
        await require_given(Settings(redis_url=url), ["REDIS_URL"])
    assert len(logged) == 1
    assert "a right is missing" in logged[0]["event"]


async def test_a_default_that_ends_every_transaction_at_once_does_not_end_our_sessions(
    servers: Servers, database_url: str, plain_role: str
) -> None:
    version = await open_pool(servers.database_url, application="tests")
    if await version.fetchval("SELECT current_setting('server_version_num')::int") < 170_000:
        pytest.skip("this PostgreSQL has no transaction_timeout")
    version.terminate()
    await run_sql(servers.database_url, f"ALTER ROLE {plain_role} SET transaction_timeout = '1ms'")
    # The point at which the server ends a session is random.
    for _ in range(20):
        pool = await open_pool(as_role(database_url, plain_role), application="tests")
        assert await pool.fetchval("SELECT 1 FROM pg_sleep(0.05)") == 1
        assert await _probe(pool)() is None
        pool.terminate()


async def test_requests_that_redis_refuses_to_count_are_known_until_one_is_counted(
    own_valkey_admin: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_limits, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(api, "KNOWN_SECONDS", 0.0)
    url = await _user_with(own_valkey_admin, f"{RIGHTS} -incrby")
    signer = Signer("a secret of thirty-two characters")
    settings = Settings(redis_url=url, rate_limit="5/minute")
    live = cast("Any", SimpleNamespace(is_feed_down=False))
    async with open_limits(settings, signer, a_guests_cookies(signer)) as limits:
        assert limits is not None
        await limits._hit_shared({"guest": "guest:one"})
        assert api.trouble_with_redis(live, limits) == "each process counts requests by itself"
        await _user_with(own_valkey_admin, RIGHTS)
        await limits._hit_shared({"guest": "guest:one"})
        assert api.trouble_with_redis(live, limits) is None


async def test_a_role_without_temporary_files_can_do_its_work(
    servers: Servers, database_url: str, plain_role: str
) -> None:
    await run_sql(servers.database_url, f"ALTER ROLE {plain_role} SET temp_file_limit = 0")
    pool = await open_pool(as_role(database_url, plain_role), application="tests")
    assert await _probe(pool)() is None
    pool.terminate()


async def test_the_rights_that_the_runbook_lists_are_enough(own_valkey_admin: Redis) -> None:
    runbook = Path(__file__).parents[3].joinpath("docs", "runbook.md").read_text()
    assert f"ACL SETUSER skyhold on >PASSWORD {RIGHTS}" in runbook
    url = await _user_with(own_valkey_admin, RIGHTS)
    assert await _said(url) is None
    async with aclosing(open_redis(url)) as redis, aclosing(open_reader_redis(url)) as reading:
        locks, publisher, reader = SeatLocks(redis), Publisher(redis), Reader(reading)
        seats = keys_of("a-flight", ["1A"])
        assert (await locks.acquire(seats, "an-order", timedelta(seconds=9))).fresh == set(seats)
        assert await locks.find_all() is not None
        assert [lock async for batch in SeatLockReader(redis).batches() for lock in batch]
        await SeatLockReader(redis).remembers_for()
        await locks.release(seats, "an-order")
        assert (await reader.read()).has_gap
        publisher.publish(Change("an-order", None))
        assert [change.order_id for change in (await reader.read()).changes] == ["an-order"]
        await publisher.aclose()
        assert (locks.is_away, await own_valkey_admin.keys("seat:lock:*")) == (False, [])


def _probe(pool: Pool) -> Probe:
    return postgresql_probe(pool, ServerQueries(Database(pool)))


async def _found(pool: Pool) -> ProbeFailure:
    found = await _probe(pool)()
    assert isinstance(found, ProbeFailure)
    return found


async def test_a_postgresql_that_does_its_work_is_well_and_no_table_is_touched(database_url: str) -> None:
    pool = await open_pool(database_url, application="tests")
    before = await pool.fetchval("SELECT sum(pg_relation_size(oid)) FROM pg_class WHERE relkind IN ('r', 'i', 't')")
    for _ in range(20):
        assert await _probe(pool)() is None
    after = await pool.fetchval("SELECT sum(pg_relation_size(oid)) FROM pg_class WHERE relkind IN ('r', 'i', 't')")
    assert (after, await pool.fetchval("SHOW work_mem")) == (before, "4MB")
    pool.terminate()


async def test_a_password_that_was_changed_under_a_running_process_is_not_explained_in_public(
    servers: Servers, database_url: str, plain_role: str
) -> None:
    pool = await open_pool(as_role(database_url, plain_role), application="tests")
    asked = {"postgresql": _probe(pool), "schema": schema_probe(pool)}
    await pool.fetchval("SELECT 1")
    await run_sql(servers.database_url, f"ALTER ROLE {plain_role} PASSWORD 'another'")
    await run_sql(
        servers.database_url,
        f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '{plain_role}'",
    )
    await asyncio.wait_for(_until_refused(asked["schema"]), 20)
    checks = await Checks(asked).ask()
    said = "unavailable: it is not set up for Skyhold, or refuses the role; `skyhold doctor` says why"
    assert checks == {"postgresql": said, "schema": said}
    failures = await ask_all(asked)
    assert {failure.detail for failure in failures.values() if failure} == {"it refuses the role or the password"}
    assert plain_role not in str(failures)
    pool.terminate()


async def _until_refused(probe: Probe) -> None:
    async def is_refused() -> bool | None:
        found = await probe()
        return (isinstance(found, ProbeFailure) and found.is_misconfigured and not found.is_partial) or None

    await until(is_refused, what="the password to be refused")


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (asyncpg.TooManyConnectionsError, "it has no connection left"),
        (asyncpg.CannotConnectNowError, "it accepts no connections yet"),
        (asyncpg.AdminShutdownError, "it is shutting down or restarting"),
        (asyncpg.ConfigurationLimitExceededError, "a limit of its configuration is reached"),
        (asyncpg.OutOfMemoryError, "it is out of memory"),
        (asyncpg.PostgresIOError, "its machine reports an error"),
    ],
)
def test_a_server_that_answers_and_refuses_is_not_said_to_be_silent(
    state: type[asyncpg.PostgresError], reason: str
) -> None:
    why = unavailable(state('of role "app"'))
    assert why is not None
    found = postgresql_failure(why)
    assert (found.reason, found.detail) == (reason, 'of role "app"')
    assert found.remedy


async def test_a_standby_reads_and_says_that_it_does_not_write(tmp_path: Path) -> None:
    with running_replicas(tmp_path) as replicas:
        pool = await open_pool(replicas.second.url, application="tests")
        found = await _found(pool)
        assert (found.reason, found.is_partial) == ("it only reads; commands are refused", True)
        assert "DATABASE_URL" in (found.remedy or "")
        await replicas.second.promote()
        assert await _probe(pool)() is None
        pool.terminate()


async def test_commits_that_wait_for_a_standby_that_is_gone_are_found(tmp_path: Path) -> None:
    with running_replicas(tmp_path) as replicas:
        await replicas.first.ask("ALTER SYSTEM SET synchronous_standby_names = '*'")
        await replicas.first.ask("SELECT pg_reload_conf()")
        pool = await open_pool(replicas.first.url, application="tests")
        assert await _probe(pool)() is None
        replicas.second.kill()
        found = await _found(pool)
        assert (found.reason, found.is_partial) == ("it reads, but a write has no answer in time", True)
        pool.terminate()


class SmallDisk(Replica):
    """A PostgreSQL whose tables cannot grow while a marker file exists."""

    def __init__(self, directory: DataDirectory, variables: dict[str, str]) -> None:
        super().__init__(directory)
        self._variables = variables

    def environment(self) -> dict[str, str]:
        return super().environment() | self._variables


@contextmanager
def running_on_small_disk(folder: Path) -> Iterator[tuple[PostgresServer, Path]]:
    variables, sign = preload("disk_that_is_full", folder), folder / "full"
    data = DataDirectory.open(folder / "small", is_ephemeral=True)
    server = SmallDisk(data, variables | {"FULL_DISK": str(sign)})
    server.start()
    try:
        yield server, sign
    finally:
        server.stop()
        data.close()


async def test_a_full_disk_is_found_before_an_order_finds_it(passable_path: Path) -> None:
    with running_on_small_disk(passable_path) as (server, sign):
        pool = await open_pool(server.url, application="tests")
        await pool.execute("CREATE TABLE notes (note text)")
        await pool.execute("INSERT INTO notes VALUES ('there is room in the page')")
        assert await _probe(pool)() is None
        sign.touch()
        await pool.execute("INSERT INTO notes VALUES ('there still is')")
        with pytest.raises(PostgresDiskFull):
            await pool.execute("INSERT INTO notes SELECT repeat('x', 2000) FROM generate_series(1, 100)")
        found = await _found(pool)
        assert (found.reason, found.is_partial) == ("it has no room to write", True)
        assert "Make room" in (found.remedy or "")
        assert await pool.fetchval("SELECT count(*) FROM notes") == 2
        sign.unlink()

        async def is_well() -> bool | None:
            return await _probe(pool)() is None or None

        await until(is_well, what="a disk with room to be well")
        pool.terminate()
