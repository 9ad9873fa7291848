"""Workers killed and stopped at the worst moments, outages of servers: every order reaches its correct end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta

import pytest

from skyhold_local.embedded.servers import Servers
from support.bookings import FL101, Booking, Bookings, until
from support.killable import OpenKillable

pytestmark = pytest.mark.rest

LONG = pytest.param(20, marks=pytest.mark.long)


async def test_killed_while_it_holds_seats(open_killable: OpenKillable) -> None:
    async with open_killable(workers=2) as world:
        world.workers[0].start()
        async with _row_lock(world, "1A"):
            holding = asyncio.create_task(world.hold(["1A"]))
            await until(lambda: _is_waiting_for_lock(world), what="the hold to be in its transaction")
            world.workers[0].kill()
        world.workers[1].start()

        booking = await holding

        assert await booking.seats() == {"1A": "reserved"}
        await world.bookings.cancel(booking.order_id)


async def test_killed_while_a_hold_waits_for_its_end(open_killable: OpenKillable) -> None:
    async with open_killable(workers=2, SEAT_RESERVATION_TIMEOUT="3s") as world:
        world.workers[0].start()
        booking = await world.hold(["1A"])
        world.workers[0].kill()
        world.workers[1].start()
        is_there = await world.pool.fetchval("SELECT clock_timestamp()")

        assert (await booking.result())["status"] == "EXPIRED"
        row = await world.pool.fetchrow(
            """SELECT e.at, o.expires_at FROM orders o JOIN order_events e ON e.order_id = o.id
               WHERE o.id = $1 AND e.status = 'EXPIRED'""",
            booking.order_id,
        )
        assert row is not None
        # By default Temporal would leave the alarm to the dead worker for ten seconds.
        assert row["expires_at"] <= row["at"] <= max(row["expires_at"], is_there) + timedelta(seconds=5)


@pytest.mark.parametrize("times", [1, pytest.param(3, marks=pytest.mark.long)])
async def test_killed_while_the_gateway_is_asked(open_killable: OpenKillable, times: int) -> None:
    async with open_killable(workers=times + 1, PAYMENT_SIMULATED_LATENCY="1s") as world:
        world.workers[0].start()
        booking = await world.hold(["1A"])
        await world.bookings.pay(booking.order_id, "12345")
        for number in range(times):
            await until(lambda asked=number + 1: _is_asked(world, asked), within=30, what=f"asking {number + 1}")  # type: ignore[misc]
            world.workers[number].kill()
            world.workers[number + 1].start()

        result = await booking.result(within=60)

        assert (result["status"], result["paymentAttempts"]) == ("CONFIRMED", 1), "a cut-off asking is no attempt"
        assert await booking.captures() == (1, 0)


async def test_killed_between_capture_and_confirmation(open_killable: OpenKillable) -> None:
    async with open_killable(workers=2, PAYMENT_SIMULATED_LATENCY="3s") as world:
        world.workers[0].start()
        booking = await world.hold(["1A"])
        await world.bookings.pay(booking.order_id, "12345")
        await until(lambda: _is_asked(world, 1), what="the gateway to be asked")
        async with _row_lock(world, "1A"):
            await until(lambda: _is_waiting_for_lock(world), what="the confirmation to be in its transaction")
            assert (await booking.payment() or {})["state"] == "captured"
            world.workers[0].kill()
        world.workers[1].start()

        assert (await booking.result())["status"] == "CONFIRMED"
        assert await booking.captures() == (1, 0)


@pytest.mark.parametrize("seconds", [7, LONG])
async def test_stopped_in_the_middle_of_a_transaction(open_killable: OpenKillable, seconds: float) -> None:
    async with open_killable(workers=2) as world:
        world.workers[0].start()
        async with _row_lock(world, "1A"):
            holding = asyncio.create_task(world.hold(["1A"]))
            await until(lambda: _is_waiting_for_lock(world), what="the hold to be in its transaction")
            world.workers[0].stop()
        world.workers[1].start()
        await asyncio.sleep(seconds)  # The test is about this downtime of the process.
        booking = await holding
        world.workers[0].go_on()

        await world.bookings.pay(booking.order_id, "99999")

        assert (await booking.result())["status"] == "CONFIRMED"
        assert await booking.captures() == (1, 0)


async def test_a_code_that_came_in_time_counts_though_the_worker_was_away(open_killable: OpenKillable) -> None:
    async with open_killable(workers=2, SEAT_RESERVATION_TIMEOUT="3s") as world:
        world.workers[0].start()
        booking = await world.hold(["1A"])
        world.workers[0].kill()
        await booking.handle.signal("proceed-to-payment", {"paymentCode": "99999"})
        await until(lambda: _is_past_deadline(booking), what="the deadline to pass")
        world.workers[1].start()

        assert (await booking.result())["status"] == "CONFIRMED"


@pytest.mark.parametrize("seconds", [7, LONG])
@pytest.mark.parametrize("moment", ["confirmation", pytest.param("expiry", marks=pytest.mark.long)])
@pytest.mark.long
async def test_postgresql_away_for_a_while(
    open_killable: OpenKillable, servers: Servers, moment: str, seconds: float
) -> None:
    async with open_killable(SEAT_RESERVATION_TIMEOUT="2s", PAYMENT_SIMULATED_LATENCY="1s") as world:
        world.workers[0].start()
        booking = await world.hold(["1A"])
        if moment == "confirmation":
            await world.bookings.pay(booking.order_id, "12345")
            await until(lambda: _is_asked(world, 1), what="the gateway to be asked")
        with _away(servers):
            await asyncio.sleep(seconds)  # The test is about this downtime of the server.

        result = await booking.result(within=60)

        assert result["status"] == ("CONFIRMED" if moment == "confirmation" else "EXPIRED")
        captures = await until(lambda: _when_back(booking.captures), what="PostgreSQL to answer")
        assert captures == ((1, 0) if moment == "confirmation" else (0, 0))


async def test_redis_away_is_no_obstacle(open_killable: OpenKillable, servers: Servers) -> None:
    async with open_killable() as world:
        world.workers[0].start()
        first = await world.hold(["1A"])
        servers.redis.kill()
        try:
            second = await world.hold(["1B"])
            with pytest.raises(Exception, match="Not available: 1A"):
                await world.hold(["1A"])
            await world.bookings.update_seats(first.order_id, ["1C"])
            for booking in (first, second):
                await world.bookings.pay(booking.order_id, "99999")
                assert (await booking.result())["status"] == "CONFIRMED"
        finally:
            servers.redis.start()


async def test_alarms_go_on_after_a_restart_of_temporal(open_killable: OpenKillable, servers: Servers) -> None:
    async with open_killable(SEAT_RESERVATION_TIMEOUT="4s") as world:
        world.workers[0].start()
        booking = await world.hold(["1A"])
        servers.temporal.kill()
        servers.temporal.start()

        await booking.until_status("EXPIRED", within=30)

        assert await booking.seats() == {}


@contextlib.contextmanager
def _away(servers: Servers) -> Iterator[None]:
    servers.postgres.stop()
    try:
        yield
    finally:
        servers.postgres.start()


@contextlib.asynccontextmanager
async def _row_lock(world: Bookings, seat: str) -> AsyncIterator[None]:
    async with world.pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        await connection.execute("SELECT 1 FROM seats WHERE flight_id = $1 AND seat_id = $2 FOR UPDATE", FL101, seat)
        yield


async def _is_waiting_for_lock(world: Bookings) -> bool:
    return bool(
        await world.pool.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
    )


async def _is_asked(world: Bookings, times: int) -> bool:
    return bool(await world.pool.fetchval("SELECT coalesce(max(asked), 0) >= $1 FROM gateway_statement", times))


async def _is_past_deadline(booking: Booking) -> bool:
    return bool(
        await booking.world.pool.fetchval(
            "SELECT expires_at < clock_timestamp() FROM orders WHERE id = $1", booking.order_id
        )
    )


async def _when_back(ask: Callable[[], object]) -> object:
    try:
        return await ask()  # type: ignore[misc]
    except Exception:  # noqa: BLE001 - any error of a server that is restarting
        return None
