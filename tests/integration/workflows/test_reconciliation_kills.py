"""The reconciler's own workers are killed and stopped during repairs, and each repair still happens once."""

from __future__ import annotations

import asyncio
import contextlib
import random

import pytest
from temporalio.service import RPCError

from skyhold.bootstrap.reconciliation import schedule_id
from support.bookings import Booking, until
from support.killable import KillableWorld, OpenKillable

pytestmark = pytest.mark.rest

ROUNDS = 6
SETTINGS = {"RECONCILE_INTERVAL": "1s", "PAYMENT_SIMULATED_LATENCY": "100ms-400ms"}


@pytest.mark.long
async def test_killed_and_stopped_at_any_moment_it_leaves_nothing_half_done(open_killable: OpenKillable) -> None:
    chance = random.Random(2026)
    async with open_killable(2, **SETTINGS) as world:
        for worker in world.workers:
            worker.start()
        orders: list[Booking] = []
        for number in range(ROUNDS):
            orders += await _leave_behind(world, row=number + 1, chance=chance)
            victim = world.workers[number % 2]
            await asyncio.sleep(chance.uniform(0, 2.5))
            if chance.random() < 0.5:
                victim.kill()
                await asyncio.to_thread(victim.start)
            else:
                victim.stop()
                await asyncio.sleep(7)  # longer than PostgreSQL lets it keep a transaction
                victim.go_on()

        async def has_nothing_open() -> bool:
            return not await world.pool.fetchval(
                "SELECT count(*) FROM orders WHERE status NOT IN ('CONFIRMED', 'FAILED', 'EXPIRED')"
            ) and not await world.pool.fetchval("SELECT count(*) FROM payments WHERE state = 'refund_due'")

        await until(has_nothing_open, within=60, what="the end of every order")
        await until(lambda: _has_no_locks(world), within=20, what="the end of every lock")
        for booking in orders:
            captures, refunds = await booking.captures()
            is_sold = (await booking.row())["status"] == "CONFIRMED"
            assert (captures - refunds, refunds) == (int(is_sold), 0)
            assert set((await booking.seats()).values()) == ({"booked"} if is_sold else set())
        with contextlib.suppress(RPCError):
            await world.client.get_schedule_handle(schedule_id(world.task_queue)).delete()


async def _leave_behind(world: KillableWorld, *, row: int, chance: random.Random) -> list[Booking]:
    """Hold six seats, pay for every other one, and terminate all of them at a random point."""
    bookings = [await world.hold([f"{row}{letter}"]) for letter in "ABCDEF"]
    for booking in bookings[::2]:
        await world.bookings.pay(booking.order_id, "12345")
    await asyncio.sleep(chance.uniform(0, 0.4))
    for booking in bookings:
        with contextlib.suppress(RPCError):  # already paid and ended
            await booking.terminate()
    return bookings


async def _has_no_locks(world: KillableWorld) -> bool:
    return not await world.locks()
