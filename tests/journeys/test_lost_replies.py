"""`skyhold book` while the API is killed: the command retries, and its user holds one order."""

from __future__ import annotations

import asyncio
import json
import os
import signal

import asyncpg
import pytest

from support.services import eventually
from support.stacks import Stack

pytestmark = pytest.mark.rest

FL202 = "550e8400-e29b-41d4-a716-446655440004"
SEAT = "15F"


async def test_a_booking_survives_the_death_of_the_api_before_its_reply(quick_stack: Stack) -> None:
    ledger = await asyncpg.connect(quick_stack.endpoints.database_url)
    try:
        # The hold waits for the seat's row, so that the reply cannot have been sent yet.
        async with ledger.transaction():
            await ledger.execute("SELECT FROM seats WHERE flight_id = $1 AND seat_id = $2 FOR UPDATE", FL202, SEAT)
            booking = asyncio.create_task(asyncio.to_thread(quick_stack.skyhold, "book", "FL202", SEAT, "--json"))
            await eventually(lambda: ledger.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"), seconds=40)
            os.kill(quick_stack.endpoints.pids.api, signal.SIGKILL)
        booked = await booking
        assert booked.returncode == 0, booked.stderr
        order = json.loads(booked.stdout)
        assert order["seats"] == [SEAT]
        claims = await ledger.fetch(
            "SELECT order_id FROM order_seats WHERE seat_id = $1 AND flight_id = $2", SEAT, FL202
        )
        assert [row["order_id"] for row in claims] == [order["orderId"]]
        assert quick_stack.json_of("status", order["orderId"])["orderId"] == order["orderId"]
    finally:
        await ledger.close()
