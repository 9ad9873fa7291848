"""A worker is lost permanently while a hundred customers book; another takes over, and all orders end correctly."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random

import pytest

from skyhold.domain.errors import SeatsUnavailable, WorkflowUnavailable
from skyhold.messages import workflow_id_of
from support.bookings import FL101, Booking, new_order_id, until
from support.killable import KillableWorld, OpenKillable

pytestmark = pytest.mark.rest

ENDS = {"CONFIRMED", "FAILED", "EXPIRED"}


@pytest.mark.parametrize("number", [30, pytest.param(100, marks=pytest.mark.long)])
async def test_of_many_bookings_none_is_lost_with_its_worker(open_killable: OpenKillable, number: int) -> None:
    async with open_killable(workers=2, SEAT_RESERVATION_TIMEOUT="20s", PAYMENT_SIMULATED_LATENCY="0s-1s") as world:
        world.workers[0].start()
        customers = [asyncio.create_task(_book(world, each)) for each in range(number)]
        await until(lambda: _is_so(world, "SELECT count(*) >= 10 FROM orders"), what="bookings under way", within=60)
        world.workers[0].kill()
        world.workers[1].start()

        bookings = await asyncio.gather(*customers)

        rows = [await booking.until_status(*ENDS, within=60) for booking in bookings]
        ends = Counter(row["status"] for row in rows)
        assert ends.total() == number
        assert ends["CONFIRMED"] >= number // 3
        assert ends["FAILED"] >= 1
        sold = await world.pool.fetchval("SELECT count(*) FROM seats WHERE status = 'booked'")
        kept = await world.pool.fetchval(
            "SELECT count(*) FROM order_seats s JOIN orders o ON o.id = s.order_id WHERE o.status = 'CONFIRMED'"
        )
        assert sold == kept
        assert await world.pool.fetchval("SELECT count(*) FROM seats WHERE status = 'reserved'") == 0


async def _book(world: KillableWorld, number: int) -> Booking:
    """Hold a seat, sometimes claim a contended one, then pay with a good or a bad code, or leave."""
    random, order_id = Random(number), new_order_id()
    await asyncio.sleep(number * 0.02)
    await _again_and_again(lambda: world.bookings.hold(order_id, FL101, [f"{1 + number // 6}{'ABCDEF'[number % 6]}"]))
    booking = Booking(world, order_id, world.client.get_workflow_handle(workflow_id_of(order_id)))
    if random.random() < 0.3:
        wanted = [f"{random.randint(18, 20)}{random.choice('ABCDEF')}"]
        with contextlib.suppress(SeatsUnavailable):
            await _again_and_again(lambda: world.bookings.update_seats(order_id, wanted))
    if random.random() < 0.8:
        code = random.choice(["99999", "12345", "12345", "00000"])
        await booking.handle.signal("proceed-to-payment", {"paymentCode": code})
    return booking


async def _again_and_again(ask: Callable[[], Awaitable[object]]) -> None:
    """Retry under the same key until there is an answer: a lost worker leaves commands without one."""
    for _ in range(5):
        with contextlib.suppress(WorkflowUnavailable):
            await ask()
            return
    raise AssertionError("nobody answers")


async def _is_so(world: KillableWorld, statement: str) -> bool:
    return bool(await world.pool.fetchval(statement))
