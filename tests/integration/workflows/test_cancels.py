"""A cancel by an operator of Temporal, together with an answer or at any other moment."""

from __future__ import annotations

import asyncio
import contextlib
import random

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowFailureError

from skyhold.postgresql.pools import Pool
from support.bookings import FL101, Booking, Bookings, OpenWorld, until
from support.gateways import Act
from support.separate_workers import split_world

pytestmark = pytest.mark.rest


@pytest.mark.core
@pytest.mark.parametrize(
    ("script", "end"),
    [((Act.FAIL_AFTER_CAPTURE,), "CONFIRMED"), ((Act.FAIL,), "FAILED"), ((Act.WAIT,), "FAILED")],
    ids=["closing finds a capture", "closing finds nothing", "paying back"],
)
async def test_a_cancel_that_comes_with_an_answer_leaves_nothing_half_done(
    temporal_client: Client, pool: Pool, redis_url: str, script: tuple[Act, ...], end: str
) -> None:
    async with split_world(temporal_client, pool, redis_url, script) as world:
        world.gateway.may_settle.clear()
        async with world.workflow_worker():
            booking = await world.hold(["1A"])
            await world.bookings.pay(booking.order_id, "12345")
            if script == (Act.WAIT,):
                await world.gateway.is_asked.wait()
                await _lose_the_seat(world)
                world.gateway.go_on.set()
            await world.gateway.is_settling.wait()
        # While no worker runs workflows, the gateway answers and the operator cancels, so one task brings both.
        answers = await _answers(booking)
        world.gateway.may_settle.set()
        await until(lambda: _has_answers(booking, answers + 1), what="the gateway's answer to be in the history")
        await booking.handle.cancel()
        async with world.workflow_worker():
            await _ended(booking)

        assert (await booking.row())["status"] == end
        await _require_all_or_nothing(booking)


@pytest.mark.parametrize(
    "code", [pytest.param("99999", id="approved"), pytest.param("12345", id="failing", marks=pytest.mark.long)]
)
async def test_a_cancel_at_any_moment_leaves_all_or_nothing(open_world: OpenWorld, code: str) -> None:
    world = await open_world(Act.FAIL if code == "12345" else Act.APPROVE, payment_attempts=1)
    dice = random.Random(5)

    async def cancel_some_time(seat: str, pause: float) -> None:
        booking = await world.hold([seat])
        paying = asyncio.create_task(_suppressed(world.bookings.pay(booking.order_id, code)))
        await asyncio.sleep(pause)  # Not to synchronise: the moment is random.
        await _suppressed(booking.handle.cancel())
        is_canceled = await _ended(booking)
        await paying
        row = await booking.row()
        assert is_canceled == (row["failure_code"] == "CANCELLED"), row["failure_code"]
        await _require_all_or_nothing(booking)

    for row in range(1, 6):
        await asyncio.gather(*(cancel_some_time(f"{row}{letter}", dice.uniform(0, 0.3)) for letter in "ABCDEF"))
    assert await world.locks() == {}


async def _lose_the_seat(world: Bookings) -> None:
    await world.pool.execute(
        """UPDATE seats SET status = 'available', order_id = NULL, held_until = NULL, version = version + 1
           WHERE flight_id = $1 AND seat_id = '1A'""",
        FL101,
    )


async def _answers(booking: Booking) -> int:
    history = await booking.handle.fetch_history()
    completed = EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
    return sum(event.event_type == completed for event in history.events)


async def _has_answers(booking: Booking, count: int) -> bool:
    return await _answers(booking) >= count


async def _ended(booking: Booking) -> bool:
    """Wait for the end, and return whether the workflow is Canceled."""
    try:
        await booking.result()
    except WorkflowFailureError:
        return True
    return False


async def _suppressed(command: object) -> None:
    with contextlib.suppress(Exception):
        await command  # type: ignore[misc]


async def _require_all_or_nothing(booking: Booking) -> None:
    row, seats, (captures, refunds) = await booking.row(), await booking.seats(), await booking.captures()
    if row["status"] == "CONFIRMED":
        assert (set(seats.values()), captures, refunds) == ({"booked"}, 1, 0)
    else:
        assert row["status"] == "FAILED"
        assert (seats, captures) == ({}, refunds)
