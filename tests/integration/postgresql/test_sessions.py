"""Every session has the required settings, whatever the defaults of database, role and pooler, or it is refused."""

from __future__ import annotations

import asyncpg
import pytest

from skyhold.domain.orders import OrderStatus
from skyhold.messages import ExpireOrder
from skyhold.postgresql.errors import PostgresInterrupted, PostgresMisconfigured
from skyhold.postgresql.pools import open_pool
from skyhold.postgresql.sessions import MIGRATION_SETTINGS, SETTINGS, open_session
from skyhold.stores.schema import migrate, newest_version
from skyhold.stores.seat_locks import SeatLocks, open_redis
from support.activity_runner import ActivityRunner, a_flight, change, fail, next_step
from support.gateways import ScriptedGateway
from support.poolers import Manner, pooler
from support.roles import as_role

HOSTILE = {
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
    "default_transaction_deferrable": "on",
    "synchronous_commit": "off",
    "lock_timeout": "1ms",
    "statement_timeout": "1min",
    "idle_in_transaction_session_timeout": "1h",
    "idle_session_timeout": "1ms",
    "TimeZone": "Asia/Kathmandu",
    "row_security": "on",
    "search_path": "elsewhere",
    "DateStyle": "German",
    "IntervalStyle": "sql_standard",
    "bytea_output": "escape",
    "standard_conforming_strings": "off",
    "extra_float_digits": "-15",
    "plan_cache_mode": "force_generic_plan",
    "exit_on_error": "on",
    "transaction_timeout": "200ms",
}


@pytest.fixture
async def hostile_url(database_url: str) -> str:
    """The URL of a database with unsuitable defaults only; those of a role work in the same way."""
    connection = await asyncpg.connect(database_url)
    name = await connection.fetchval("SELECT current_database()")
    has = {row["name"] for row in await connection.fetch("SELECT name FROM pg_settings")}
    for setting, value in HOSTILE.items():
        if setting in has or setting == "transaction_timeout":
            await connection.execute(f"ALTER DATABASE {name} SET {setting} = '{value}'")
    await connection.close()
    return database_url


async def test_a_session_has_our_settings_whatever_the_defaults_are(hostile_url: str) -> None:
    session = await open_session(hostile_url, application="tests")
    found = {name: await session.fetchval(f"SHOW {name}") for name in (*SETTINGS, "search_path", "transaction_timeout")}
    await session.close()
    assert found == {**SETTINGS, "search_path": "public", "transaction_timeout": "0"}


async def test_a_session_for_migrations_has_its_own_time_limits(hostile_url: str) -> None:
    session = await open_session(hostile_url, application="tests", settings=MIGRATION_SETTINGS)
    assert {name: await session.fetchval(f"SHOW {name}") for name in MIGRATION_SETTINGS} == MIGRATION_SETTINGS
    assert await session.fetchval("SHOW default_transaction_isolation") == "read committed"
    await session.close()


async def test_bookings_go_their_ways_whatever_the_defaults_are(hostile_url: str, redis_url: str) -> None:
    pool, redis = await open_pool(hostile_url, application="tests"), open_redis(redis_url)
    desk = ActivityRunner(pool, SeatLocks(redis), ScriptedGateway(pool))
    flight = await a_flight(pool)
    paid = await desk.do(change(await desk.hold(flight, ["1A"]), ["1A", "1B"]))
    assert (await desk.pay(paid)).status is OrderStatus.CONFIRMED
    lapsed = await desk.hold(flight, ["1C"])
    await desk.let_lapse(lapsed)
    assert (await desk.do(ExpireOrder(next_step(lapsed)))).status is OrderStatus.EXPIRED
    assert (await desk.do(fail(await desk.hold(flight, ["1C"])))).status is OrderStatus.FAILED
    pool.terminate()
    await redis.aclose()


async def test_migrations_run_whatever_the_defaults_are(hostile_url: str) -> None:
    session = await open_session(hostile_url, application="tests", settings=MIGRATION_SETTINGS)
    await session.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE SCHEMA elsewhere")
    await session.close()
    assert (await migrate(hostile_url))[-1] == newest_version()
    session = await open_session(hostile_url, application="tests")
    assert await session.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'elsewhere'") == 0
    await session.close()


async def test_the_ledger_is_in_the_schema_that_the_address_names(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute('CREATE SCHEMA "Seats of Skyhold"')
    await connection.close()
    named = f'{database_url}?options=-csearch_path%3D"Seats%5C%20of%5C%20Skyhold"'
    assert (await migrate(named))[-1] == newest_version()
    pool = await open_pool(named, application="tests")
    assert await pool.fetchval("SELECT count(*) FROM flights") == 0, "those of public are another ledger's"
    pool.terminate()


@pytest.mark.parametrize("options", ["-csearch_path%3Da,b", '-c%20search_path%3D"$user"', "--search_path%3D"])
async def test_an_address_that_names_no_single_schema_is_refused(database_url: str, options: str) -> None:
    with pytest.raises(PostgresMisconfigured) as refusal:
        await open_pool(f"{database_url}?options={options}", application="tests")
    assert "options=-csearch_path%3DNAME" in refusal.value.remedy


async def test_a_session_whose_triggers_do_not_fire_is_refused(database_url: str, plain_role: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute(f"ALTER ROLE {plain_role} SET session_replication_role = replica")
    await connection.close()
    with pytest.raises(PostgresMisconfigured) as refusal:
        await open_session(as_role(database_url, plain_role), application="tests")
    assert "session_replication_role is replica" in refusal.value.words
    assert "RESET session_replication_role" in refusal.value.remedy


@pytest.mark.parametrize(
    ("manner", "words"),
    [
        (Manner.REFUSES, "unsupported startup parameter: default_transaction_isolation"),
        (Manner.DROPS, "it does not keep the settings of a session (synchronous_commit is off, not on)"),
    ],
)
async def test_a_pooler_that_does_not_keep_our_settings_is_refused_with_the_way_out(
    manner: Manner, words: str, database_url: str
) -> None:
    connection = await asyncpg.connect(database_url)
    name = await connection.fetchval("SELECT current_database()")
    await connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    await connection.close()
    async with pooler(database_url, manner) as address:
        pool = await open_pool(address, application="tests")
        with pytest.raises(PostgresMisconfigured) as refusal:
            await pool.fetchval("SELECT 1")
        pool.terminate()
    assert refusal.value.words == words
    assert "set DATABASE_URL to the address of the server itself" in refusal.value.remedy


async def test_a_migration_under_an_open_session_is_an_interruption_and_the_next_try_succeeds(
    database_url: str,
) -> None:
    pool = await open_pool(database_url, application="tests", size=1)
    async with pool.transaction() as connection:
        await connection.fetch("SELECT * FROM flights")
    await pool.execute("ALTER TABLE flights ADD COLUMN gate text")
    with pytest.raises(PostgresInterrupted):
        async with pool.transaction() as connection:
            await connection.fetch("SELECT * FROM flights")
    async with pool.transaction() as connection:
        assert "gate" in (await connection.fetch("SELECT * FROM flights"))[0]
    pool.terminate()
