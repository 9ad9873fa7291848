"""Rules that the schema itself enforces; migrations and demo flights, repeated and concurrent."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from skyhold.domain.orders import FailureCode, OrderStatus, can_become, new_reference
from skyhold.postgresql.errors import PostgresBusy
from skyhold.postgresql.pools import Pool, open_pool
from skyhold.postgresql.sessions import Connection
from skyhold.stores.demo_flights import DEMO_FLIGHTS, seed_demo_flights
from skyhold.stores.schema import MIGRATION_LOCK, migrate, newest_version
from support.activity_runner import ActivityRunner, a_flight, fail
from support.bookings import FL101, new_order_id


@pytest.fixture
async def empty_database_url(database_url: str) -> str:
    connection = await asyncpg.connect(database_url)
    await connection.execute("DROP SCHEMA public CASCADE")
    await connection.execute("CREATE SCHEMA public")
    await connection.close()
    return database_url


@pytest.mark.parametrize("failure_code", [FailureCode.CANCELLED, FailureCode.REFUNDED])
async def test_the_triggers_table_of_statuses_is_the_domains(shared_pool: Pool, failure_code: FailureCode) -> None:
    for before in OrderStatus:
        for after in set(OrderStatus) - {before}:
            order_id = new_order_id()
            await _insert_order_at(shared_pool, order_id, before)
            code = failure_code if after is OrderStatus.FAILED else None
            try:
                await _set_status(shared_pool, order_id, after, code)
                is_allowed = True
            except asyncpg.IntegrityConstraintViolationError as violation:
                assert violation.constraint_name == "orders_legal_transition"
                is_allowed = False
            assert is_allowed is can_become(before, after, failure_code=code), f"{before} to {after} as {code}"


@pytest.mark.parametrize("status", sorted(set(OrderStatus) - {OrderStatus.CREATED}))
async def test_an_order_is_born_created(shared_pool: Pool, status: OrderStatus) -> None:
    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refusal:
        await _insert_order(shared_pool, new_order_id(), status)
    assert refusal.value.constraint_name == "orders_legal_transition"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE order_events SET seq = seq + 1",
        "DELETE FROM order_events",
        "TRUNCATE order_events",
        "TRUNCATE orders CASCADE",
    ],
)
async def test_the_event_log_can_only_grow(shared_pool: Pool, statement: str) -> None:
    order_id = new_order_id()
    await _insert_order(shared_pool, order_id, OrderStatus.CREATED)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refusal:
        await shared_pool.execute(statement)
    assert refusal.value.constraint_name == "order_events_append_only"
    assert await shared_pool.fetchval("SELECT seq FROM order_events WHERE order_id = $1", order_id) == 1


async def test_the_event_log_tells_each_change_once_with_its_seats(desk: ActivityRunner) -> None:
    flight = await a_flight(desk.pool)
    order = await desk.hold(flight, ["1B", "1A"])
    await desk.pool.execute("UPDATE orders SET updated_at = clock_timestamp() WHERE id = $1", order.id)
    await desk.do(fail(order))
    rows = await desk.pool.fetch("SELECT * FROM order_events WHERE order_id = $1 ORDER BY seq", order.id)
    assert [(row["seq"], row["step"], row["status"], row["version"], row["seats"]) for row in rows] == [
        (1, 0, "CREATED", 0, []),
        (2, 1, "SEATS_RESERVED", 1, ["1A", "1B"]),
        (3, 2, "FAILED", 1, ["1A", "1B"]),
    ]
    assert rows[-1]["failure_code"] == "CANCELLED"


async def test_a_seat_never_passes_from_one_order_to_another(desk: ActivityRunner) -> None:
    flight = await a_flight(desk.pool)
    first, second = await desk.hold(flight, ["1A"]), await desk.hold(flight, ["1B"])
    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refusal:
        await desk.pool.execute(
            "UPDATE seats SET order_id = $2, version = version + 1 WHERE order_id = $1", first.id, second.id
        )
    assert refusal.value.constraint_name == "seats_one_owner"


@pytest.mark.parametrize(
    "change",
    [
        "status = 'booked', held_until = NULL",
        "status = 'available', order_id = NULL, held_until = NULL",
        "price_cents = price_cents + 1",
    ],
)
@pytest.mark.parametrize("version", ["version", "version - 1"])
async def test_a_seat_changes_only_with_a_higher_version(desk: ActivityRunner, change: str, version: str) -> None:
    flight = await a_flight(desk.pool)
    order = await desk.hold(flight, ["1A"])
    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refusal:
        await desk.pool.execute(f"UPDATE seats SET {change}, version = {version} WHERE order_id = $1", order.id)
    assert refusal.value.constraint_name == "seats_version_rises"


async def test_the_versions_of_seats_rise_with_every_change_of_their_owner_or_status(desk: ActivityRunner) -> None:
    flight = await a_flight(desk.pool)
    before = await _versions(desk.pool, flight)
    order = await desk.hold(flight, ["1A"])
    held = await _versions(desk.pool, flight)
    await desk.do(fail(order))
    freed = await _versions(desk.pool, flight)
    assert before["1A"] < held["1A"] < freed["1A"]
    assert before["1B"] == held["1B"] == freed["1B"]


@pytest.mark.parametrize(
    "change",
    [
        "status = 'reserved'",
        "status = 'reserved', held_until = now()",
        "status = 'booked'",
        "held_until = now()",
        "status = 'gone'",
        "seat_id = '1E'",
        "price_cents = 0",
    ],
)
async def test_a_seat_is_whole_or_refused(shared_pool: Pool, change: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await shared_pool.execute(f"UPDATE seats SET {change}, version = version + 1 WHERE flight_id = $1", FL101)


async def test_a_migration_twice_does_nothing_the_second_time(empty_database_url: str) -> None:
    first = await migrate(empty_database_url)
    assert first[-1] == newest_version()
    assert await migrate(empty_database_url) == []


async def test_of_three_migrations_at_once_one_does_the_work(empty_database_url: str) -> None:
    done = await asyncio.gather(*(migrate(empty_database_url) for _ in range(3)))
    assert sorted(map(len, done))[:2] == [0, 0]
    assert max(done, key=len)[-1] == newest_version()


async def test_a_migration_that_waits_for_another_gives_up_in_time_and_changes_nothing(empty_database_url: str) -> None:
    other = await asyncpg.connect(empty_database_url)
    try:
        await other.execute("SELECT pg_advisory_lock($1)", MIGRATION_LOCK)
        with pytest.raises(PostgresBusy, match="another migration is still running"):
            await migrate(empty_database_url, patience_seconds=0.3)
        assert await other.fetchval("SELECT to_regclass('orders')") is None
    finally:
        await other.close()


async def test_seeding_twice_and_three_at_once_sows_each_flight_once(empty_database_url: str) -> None:
    await migrate(empty_database_url)
    pool = await open_pool(empty_database_url, application="tests")
    try:
        counts = await asyncio.gather(*(seed_demo_flights(pool) for _ in range(3)))
        assert sorted(counts) == [(0, 0), (0, 0), (len(DEMO_FLIGHTS), 0)]
        before = await _flights(pool)
        assert await seed_demo_flights(pool) == (0, 0)
        assert await _flights(pool) == before
        seats = await pool.fetch(
            "SELECT f.flight_number, count(*) FROM flights f JOIN seats s ON s.flight_id = f.id GROUP BY 1"
        )
        assert {row[0]: row[1] for row in seats} | {"SK900": 0} == {
            "FL101": 120,
            "FL102": 120,
            "FL201": 90,
            "FL202": 90,
            "SK900": 0,
        }
    finally:
        await pool.close()


async def test_seeding_moves_a_flight_that_has_left_unless_an_order_on_it_is_open(
    desk: ActivityRunner, pool: Pool
) -> None:
    desk = ActivityRunner(pool, desk.locks, desk.gateway)
    order = await desk.hold(FL101, ["1A"])
    await _let_depart(desk.pool, FL101)
    assert await seed_demo_flights(desk.pool) == (0, 0)
    assert await _has_left(desk.pool, FL101)

    await desk.do(fail(order))

    assert await seed_demo_flights(desk.pool) == (0, 1)
    assert not await _has_left(desk.pool, FL101)
    assert await seed_demo_flights(desk.pool) == (0, 0)


async def _insert_order(pool: Pool | Connection, order_id: str, status: OrderStatus) -> None:
    await pool.execute(
        """INSERT INTO orders (id, workflow_id, chain, namespace_id, status, policy, expires_at, max_expires_at,
                               failure_code, reference, confirmed_at)
           VALUES ($1, 'booking-' || $1, 'c', 'n', $2, '{}', now(), now(),
                   CASE $2 WHEN 'FAILED' THEN 'INTERNAL' END,
                   CASE $2 WHEN 'CONFIRMED' THEN $3 END, CASE $2 WHEN 'CONFIRMED' THEN now() END)""",
        order_id,
        status,
        new_reference(),
    )


async def _insert_order_at(pool: Pool, order_id: str, status: OrderStatus) -> None:
    """Insert an order with this status directly: only the next transition is under test."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")  # without triggers
        await _insert_order(connection, order_id, status)


async def _set_status(pool: Pool, order_id: str, status: OrderStatus, code: FailureCode | None) -> None:
    await pool.execute(
        """UPDATE orders SET status = $2, failure_code = $3, confirmed_at = now(),
               reference = CASE WHEN $2 = 'CONFIRMED' THEN $4 END
           WHERE id = $1""",
        order_id,
        status,
        code,
        new_reference(),
    )


async def _versions(pool: Pool, flight_id: str) -> dict[str, int]:
    rows = await pool.fetch("SELECT seat_id, version FROM seats WHERE flight_id = $1", flight_id)
    return {row["seat_id"]: row["version"] for row in rows}


async def _flights(pool: Pool) -> list[dict[str, Any]]:
    return [dict(row) for row in await pool.fetch("SELECT * FROM flights ORDER BY id")]


async def _let_depart(pool: Pool, flight_id: str) -> None:
    await pool.execute("UPDATE flights SET departs_at = now() - interval '1 minute' WHERE id = $1", flight_id)


async def _has_left(pool: Pool, flight_id: str) -> bool:
    return await pool.fetchval("SELECT departs_at <= clock_timestamp() FROM flights WHERE id = $1", flight_id) is True
