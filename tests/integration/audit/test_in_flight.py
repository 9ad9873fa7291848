"""Bookings in flight are not violations: fifty customers hold, change, pay, cancel and leave while audits run."""

from __future__ import annotations

import asyncio
import itertools
import random

import pytest
from temporalio.client import Client

from skyhold.domain.errors import SkyholdError, WorkflowUnavailable
from skyhold.domain.orders import OrderStatus, Policy
from skyhold.postgresql.pools import Pool
from support.audits import audit_of, graces, told
from support.bookings import SK900, Booking, Bookings, running_bookings

pytestmark = pytest.mark.rest

CUSTOMERS = 50
SECONDS = 3.0

PATIENCE = graces(second_look=0.5, lock=10.0, workflow=10.0, repair=1.0)
"""Shorter than in production, but longer than a workflow task that timed out on a busy machine and is run again."""


async def test_bookings_in_flight_raise_no_alarm(temporal_client: Client, pool: Pool, redis_url: str) -> None:
    policy = Policy(hold_seconds=2.0, payment_limit_seconds=2.0)
    async with running_bookings(temporal_client, pool, redis_url, policy=policy) as world:
        seats = await pool.fetch("SELECT seat_id FROM seats WHERE flight_id = $1 AND status = 'available'", SK900)
        end = asyncio.get_running_loop().time() + SECONDS
        crowd = [
            asyncio.create_task(_book(world, number, [row["seat_id"] for row in seats], end))
            for number in range(CUSTOMERS)
        ]

        while asyncio.get_running_loop().time() < end:
            assert told(await audit_of(world, PATIENCE).run()) == []
        await asyncio.gather(*crowd)

        outcomes = {row["status"] for row in await pool.fetch("SELECT DISTINCT status FROM orders")}
        assert outcomes >= {OrderStatus.CONFIRMED, OrderStatus.FAILED, OrderStatus.EXPIRED}
        assert told(await audit_of(world, PATIENCE).run()) == []


async def _book(world: Bookings, number: int, seats: list[str], end: float) -> None:
    """Make one booking after the other, with different ends; claims of other orders' seats are refused."""
    dice, turns = random.Random(number), itertools.count(number)
    while asyncio.get_running_loop().time() < end:
        try:
            booking = await world.hold(dice.sample(seats, dice.randint(1, 2)), flight_id=SK900)
            if dice.random() < 0.5:
                await world.bookings.update_seats(booking.order_id, dice.sample(seats, dice.randint(1, 2)))
            await _end(world, booking, next(turns) % 5)
        except (SkyholdError, WorkflowUnavailable):
            continue  # refused, or not answered in time on a busy machine: the order then expires


async def _end(world: Bookings, booking: Booking, wish: int) -> None:
    match wish:
        case 0:
            await world.bookings.cancel(booking.order_id)
        case 1 | 2:
            await world.bookings.pay(booking.order_id, "99999" if wish == 1 else "00000")
    await booking.result()
