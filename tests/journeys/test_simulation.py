"""Crowds on the whole product, as in the demo; afterwards the audit finds nothing."""

from __future__ import annotations

from collections.abc import Iterator

import asyncpg
import pytest

from support.stacks import Stack, new_stack

pytestmark = pytest.mark.rest

_OPEN = "SELECT count(*) FROM orders WHERE status NOT IN ('CONFIRMED', 'FAILED', 'EXPIRED')"


@pytest.fixture
def stack() -> Iterator[Stack]:
    """A stack of its own, since a crowd takes any seats; holds are short enough for some to lapse."""
    with new_stack() as stack:
        stack.start(SEAT_RESERVATION_TIMEOUT="5s", PAYMENT_FAILURE_RATE="0.15", PAYMENT_SIMULATED_LATENCY="0s-1s")
        yield stack


@pytest.mark.long
async def test_thirty_customers_book_and_leave_everything_in_order(stack: Stack) -> None:
    # With this seed several of the first customers abandon their holds.
    told = stack.json_of("--customers", "30", "--for", "15s", "--seed", "41", module="tools.crowd")

    assert told["orders"]["confirmed"] > 0
    assert told["orders"]["expired"] > 0
    assert told["orders"]["open"] == told["violations"]["count"] == 0
    assert told["forbidden"]["sent"] == told["forbidden"]["rejected"] > 0
    assert told["networkFaults"]["lostReply"] > 0
    assert told["audit"] == {"audited": True, "unchecked": {}, "findings": []}
    ledger = await asyncpg.connect(stack.endpoints.database_url)
    try:
        assert await ledger.fetchval(_OPEN) == 0
        assert await ledger.fetchval("SELECT count(*) FROM orders") == told["orders"]["made"]
        assert await ledger.fetchval("SELECT count(*) FROM seats WHERE status = 'booked'") == told["seatsSold"]
    finally:
        await ledger.close()


@pytest.mark.long
@pytest.mark.quiet
async def test_of_five_hundred_who_contend_for_twenty_seats_twenty_are_sold() -> None:
    with new_stack() as stack:
        stack.start()

        told = stack.json_of(
            "--customers", "500", "--flight", "FL101", "--contend", "20", "--seed", "5", module="tools.crowd"
        )

        contention = told["contention"]
        assert (told["closing"], contention["sold"], len(contention["seats"])) == ("soldOut", 20, 20)
        assert contention["winners"] + contention["refused"] + contention["released"] == 500
        assert told["latencies"]["refusal"]["maxMs"] < 2000, (
            "from when a request was sent; the queue is the crowd's own"
        )
        assert told["violations"]["count"] == told["orders"]["open"] == 0
        assert told["audit"] == {"audited": True, "unchecked": {}, "findings": []}
        ledger = await asyncpg.connect(stack.endpoints.database_url)
        try:
            seats = await ledger.fetch("SELECT seat_id FROM seats WHERE status = 'booked'")
            assert {seat["seat_id"] for seat in seats} == set(contention["seats"])
            assert await ledger.fetchval(_OPEN) == 0
        finally:
            await ledger.close()
