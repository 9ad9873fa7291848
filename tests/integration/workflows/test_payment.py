"""Payments on real servers: verdicts, attempts, waits, late captures, one charge at most."""

from __future__ import annotations

import asyncio

import pytest

from support.bookings import FL101, Bookings, OpenWorld, until
from support.canaries import CODE, code_told_in
from support.gateways import Act

pytestmark = pytest.mark.rest


@pytest.mark.core
async def test_a_declined_payment_fails_at_once_after_one_attempt(world: Bookings) -> None:
    booking = await world.hold(["1A"])

    await world.bookings.pay(booking.order_id, "00000")

    result = await booking.result()
    assert (result["status"], result["failureCode"], result["paymentAttempts"]) == ("FAILED", "PAYMENT_DECLINED", 1)
    assert await booking.verdicts() == ["declined"]
    assert await booking.captures() == (0, 0)
    assert (await booking.payment() or {})["state"] == "closed"
    assert await booking.seats() == {}
    assert await world.locks() == {}


async def test_three_failed_attempts_with_growing_waits_fail_the_order(open_world: OpenWorld) -> None:
    world = await open_world(Act.FAIL)
    booking = await world.hold(["2A"])

    await world.bookings.pay(booking.order_id, "12345")
    result = await booking.result()

    assert (result["status"], result["failureCode"], result["paymentAttempts"]) == ("FAILED", "PAYMENT_FAILED", 3)
    assert await booking.verdicts() == ["error", "error", "error"]
    times = [asking.at for asking in world.gateway.askings]
    # A busy machine may make them longer; the policy's longest wait is five seconds.
    assert 0.9 < times[1] - times[0] < 4
    assert 1.4 < times[2] - times[1] < 4.5
    assert await booking.captures() == (0, 0)
    assert await booking.seats() == {}


@pytest.mark.core
async def test_a_payment_that_fails_once_is_captured_once(open_world: OpenWorld) -> None:
    world = await open_world(Act.FAIL, Act.APPROVE)
    booking = await world.hold(["3A"])

    await world.bookings.pay(booking.order_id, "12345")
    result = await booking.result()

    assert (result["status"], result["paymentAttempts"]) == ("CONFIRMED", 2)
    assert await booking.verdicts() == ["error", "approved"]
    assert await booking.captures() == (1, 0)
    assert len({asking.key for asking in world.gateway.askings}) == 1, "one key for all attempts"


async def test_attempts_are_seen_while_they_happen(open_world: OpenWorld) -> None:
    world = await open_world(Act.FAIL, Act.FAIL, Act.WAIT)
    booking = await world.hold(["4A"])
    await world.bookings.pay(booking.order_id, "12345")
    seen: list[tuple[str, int]] = []

    async def watch() -> None:
        while len(world.gateway.askings) < 3 or seen[-1][1] < 3:
            status = await booking.status()
            if not seen or seen[-1] != (status["status"], status["paymentAttempts"]):
                seen.append((status["status"], status["paymentAttempts"]))
            await asyncio.sleep(0.02)

    await asyncio.wait_for(watch(), 20)
    world.gateway.go_on.set()

    assert seen == [("PAYMENT_PROCESSING", 1), ("PAYMENT_PROCESSING", 2), ("PAYMENT_PROCESSING", 3)]
    assert (await booking.result())["paymentAttempts"] == 3
    assert (await booking.status())["paymentAttempts"] == 3


async def test_a_gateway_that_never_answers_is_a_timeout_each_time(open_world: OpenWorld) -> None:
    world = await open_world(Act.HANG, payment_limit_seconds=0.3)
    booking = await world.hold(["5A"])

    await world.bookings.pay(booking.order_id, "12345")
    result = await booking.result()

    assert (result["failureCode"], result["paymentAttempts"]) == ("PAYMENT_FAILED", 3)
    assert await booking.verdicts() == ["timeout", "timeout", "timeout"]
    assert await booking.captures() == (0, 0)


async def test_a_late_capture_is_shut_out_once_nothing_was_charged_was_said(open_world: OpenWorld) -> None:
    world = await open_world(Act.HANG, Act.HANG, Act.ANSWER_LATE, late=5, payment_limit_seconds=0.3)
    booking = await world.hold(["6A"])
    await world.bookings.pay(booking.order_id, "12345")

    result = await booking.result()
    await until(lambda: _is_idle_but_for_hangs(world), what="the late charge to come to its end")

    assert (result["status"], result["failureCode"]) == ("FAILED", "PAYMENT_FAILED")
    assert await booking.captures() == (0, 0)
    assert await world.pool.fetchval("SELECT state FROM gateway_statement") == "closed"


@pytest.mark.core
async def test_nobody_is_told_that_nothing_was_charged_before_the_key_is_closed(world: Bookings) -> None:
    world.gateway.may_settle.clear()
    booking = await world.hold(["6B"])
    await world.bookings.pay(booking.order_id, "00000")
    await world.gateway.is_settling.wait()

    refusal = (await booking.row())["answer"]["refusal"]
    told = [await booking.status(), refusal]
    world.gateway.may_settle.set()
    result = await booking.result()

    assert not any("charged" in str(words) for words in told), told
    assert result["error"] == "The payment was declined. Nothing was charged."


async def test_a_capture_whose_answer_was_lost_is_found_and_confirmed(open_world: OpenWorld) -> None:
    world = await open_world(Act.FAIL_AFTER_CAPTURE)
    booking = await world.hold(["7A"])

    await world.bookings.pay(booking.order_id, "12345")
    result = await booking.result()

    # The second request finds the capture under the key, but its reply is lost; closing the key finds it finally.
    assert result["status"] == "CONFIRMED"
    assert await booking.captures() == (1, 0)
    assert (await booking.payment() or {})["state"] == "captured"


@pytest.mark.core
async def test_seats_lost_before_confirmation_are_paid_back(open_world: OpenWorld) -> None:
    world = await open_world(Act.WAIT)
    booking = await world.hold(["8A", "8B"])
    await world.bookings.pay(booking.order_id, "12345")
    await world.gateway.is_asked.wait()
    await world.pool.execute(
        """UPDATE seats SET status = 'available', order_id = NULL, held_until = NULL, version = version + 1
           WHERE flight_id = $1 AND seat_id = '8B'""",
        FL101,
    )
    world.gateway.go_on.set()

    result = await booking.result()

    assert (result["status"], result["failureCode"]) == ("FAILED", "SEATS_LOST")
    assert await booking.captures() == (1, 1)
    assert (await booking.payment() or {})["state"] == "refunded"
    assert await booking.seats() == {}


@pytest.mark.core
async def test_the_customers_code_stands_in_no_log_and_no_row(
    open_world: OpenWorld, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    world = await open_world(Act.FAIL, Act.APPROVE)
    booking = await world.hold(["9A"])
    await world.bookings.pay(booking.order_id, CODE)
    await booking.result()

    assert code_told_in(caplog.text) == ""
    tables = await world.pool.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    for table in tables:
        found = await world.pool.fetchval(
            f'SELECT count(*) FROM "{table["tablename"]}" t WHERE to_jsonb(t)::text ~ \'"{CODE}"|paymentCode\''
        )
        assert found == 0, table["tablename"]


async def _is_idle_but_for_hangs(world: Bookings) -> bool:
    return len(world.gateway.askings) == 3 and len(world.gateway._under_way) == 2
