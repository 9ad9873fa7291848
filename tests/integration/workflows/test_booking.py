"""Bookings through real Temporal, PostgreSQL and Valkey: how each way ends."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from skyhold.domain.orders import Policy
from skyhold.stores.postgres import Pool
from support.bookings import Bookings, running_bookings


@pytest.fixture
async def world(temporal_client: Client, pool: Pool, redis_url: str) -> AsyncIterator[Bookings]:
    async with running_bookings(temporal_client, pool, redis_url, policy=Policy(hold_seconds=5)) as world:
        yield world


async def test_a_held_and_paid_order_is_confirmed(world: Bookings) -> None:
    booking = await world.hold(["12A", "12B"])
    assert await booking.seats() == {"12A": "reserved", "12B": "reserved"}
    assert await world.locks() == {"12A": booking.order_id, "12B": booking.order_id}

    await world.bookings.pay(booking.order_id, "99999")

    result = await booking.result()
    assert result["status"] == "CONFIRMED"
    assert result["paymentAttempts"] == 1
    assert await booking.seats() == {"12A": "booked", "12B": "booked"}
    assert await booking.captures() == (1, 0)
    assert await world.locks() == {}
    assert await booking.path() == [
        "CREATED",
        "SEATS_RESERVED",
        "PAYMENT_PENDING",
        "PAYMENT_PROCESSING",
        "CONFIRMED",
    ]
