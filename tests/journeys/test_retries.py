"""The API is killed between a request and its reply: a retry gets the same order."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal

import asyncpg
import httpx
import pytest

from support.services import eventually
from support.stacks import Stack

pytestmark = pytest.mark.rest

FL201 = "550e8400-e29b-41d4-a716-446655440003"
SEAT = "15F"

_LOCK_SEAT = "SELECT FROM seats WHERE flight_id = $1 AND seat_id = $2 FOR UPDATE"
_WAITERS = "SELECT count(*) FROM pg_locks WHERE NOT granted"
_HOLDS = (
    "SELECT count(DISTINCT order_id), count(*) FROM seats WHERE status = 'reserved' AND flight_id = $1 AND seat_id = $2"
)


async def test_an_api_killed_before_its_reply_makes_no_second_hold(quick_stack: Stack) -> None:
    endpoints = quick_stack.endpoints
    key = {"Idempotency-Key": secrets.token_hex(16)}
    wish = {"flightId": FL201, "seats": [SEAT]}
    ledger = await asyncpg.connect(endpoints.database_url)
    try:
        async with httpx.AsyncClient(base_url=endpoints.api, timeout=30, trust_env=False) as guest:
            # The hold waits for the seat's row, so that the reply cannot have been sent yet.
            async with ledger.transaction():
                await ledger.execute(_LOCK_SEAT, FL201, SEAT)
                asking = asyncio.create_task(guest.post("/api/orders", json=wish, headers=key))
                await eventually(lambda: ledger.fetchval(_WAITERS))
                os.kill(endpoints.pids.api, signal.SIGKILL)
                (lost,) = await asyncio.gather(asking, return_exceptions=True)
                assert isinstance(lost, httpx.TransportError), "the reply never came"

            async def ask_again() -> httpx.Response | None:
                try:
                    reply = await guest.post("/api/orders", json=wish, headers=key)
                except httpx.TransportError:
                    return None
                return reply if reply.status_code != 503 else None

            retried = await eventually(ask_again, seconds=60)
            assert retried.status_code == 201, retried.text
            assert tuple(await ledger.fetchrow(_HOLDS, FL201, SEAT)) == (1, 1)  # type: ignore[arg-type]
            again = await guest.post("/api/orders", json=wish, headers=key)
            assert again.json()["orderId"] == retried.json()["orderId"]
    finally:
        await ledger.close()
    assert quick_stack.json_of("audit")["findings"] == []
