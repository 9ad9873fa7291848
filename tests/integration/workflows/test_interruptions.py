"""A cancel or a reset by an operator at every stage: seats released and nothing charged, or confirmed and charged."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import CancelledError

from skyhold.domain.errors import OrderClosed
from support.bookings import FL101, Booking, Bookings, OpenWorld, until
from support.gateways import Act

pytestmark = pytest.mark.rest

STAGES = ["start", "holding", "held", "changing", "paying", "confirming", "failing"]


@pytest.mark.parametrize("stage", STAGES)
async def test_a_cancel_by_the_operator_leaves_all_or_nothing(open_world: OpenWorld, stage: str) -> None:
    world = await open_world(Act.WAIT)
    async with _at_stage(world, stage) as booking:
        await booking.handle.cancel()
        await until(lambda: _is_cancel_seen(booking), what="the cancel to arrive")
        world.gateway.go_on.set()

    try:
        result = await booking.result()
    except WorkflowFailureError as failure:
        assert isinstance(failure.cause, CancelledError)
        result = {"status": "FAILED"}
        assert (await booking.row())["failure_code"] == "CANCELLED"

    await _require_all_or_nothing(booking)
    if stage == "confirming":
        assert result["status"] == "CONFIRMED", "a confirmation is awaited to its outcome, and stands"
    if stage in {"start", "holding", "held", "changing"}:
        assert (await booking.row())["failure_code"] == "CANCELLED"


async def test_a_capture_found_after_a_cancel_is_confirmed(open_world: OpenWorld) -> None:
    world = await open_world(Act.FAIL_AFTER_CAPTURE, Act.WAIT)
    booking = await world.hold(["1A"])
    await world.bookings.pay(booking.order_id, "12345")
    await until(lambda: _askings(world, 2), what="the second attempt")

    await booking.handle.cancel()

    assert (await booking.result())["status"] == "CONFIRMED"
    assert await booking.captures() == (1, 0)


@pytest.mark.parametrize("to", ["first task", pytest.param("last task", marks=pytest.mark.long)])
@pytest.mark.parametrize("forget_messages", [False, True], ids=["messages again", "messages forgotten"])
@pytest.mark.parametrize("stage", ["held", "changed", "paying", "confirmed", "expired", "cancelled", "refused"])
async def test_after_a_reset_the_ledger_leads(
    open_world: OpenWorld,
    stage: str,
    forget_messages: bool,
    to: str,
) -> None:
    world = await open_world(Act.WAIT, hold_seconds=1 if stage == "expired" else 5)
    booking = await _arrive(world, stage)
    before = await booking.row()

    booking = await booking.reset(to_first=to == "first task", forget_messages=forget_messages)
    world.gateway.go_on.set()
    result = await booking.result()

    after = await booking.row()
    assert result["status"] == after["status"]
    await _require_all_or_nothing(booking)
    if before["status"] in {"CONFIRMED", "FAILED", "EXPIRED"}:
        assert after["status"] == before["status"], "what has ended stays ended"
        assert after["step"] == before["step"]


@pytest.mark.parametrize("stage", ["held", "paying"])
async def test_a_terminated_booking_goes_on_after_a_reset(open_world: OpenWorld, stage: str) -> None:
    world = await open_world(Act.WAIT, hold_seconds=5)
    booking = await _arrive(world, stage)
    await booking.handle.terminate("a test")
    with pytest.raises(OrderClosed):
        await world.bookings.cancel(booking.order_id)

    booking = await booking.reset(to_first=True, forget_messages=False)
    world.gateway.go_on.set()
    await booking.result()

    await _require_all_or_nothing(booking)


async def test_a_waiting_cancel_is_obeyed_after_a_reset(world: Bookings) -> None:
    booking = await world.hold(["1A"])
    await world.bookings.update_seats(booking.order_id, ["1B"])
    await world.bookings.update_seats(booking.order_id, ["1C"])

    booking = await booking.reset(to_first=True, forget_messages=True)
    await booking.handle.signal("cancel-booking")

    assert (await booking.result())["failureCode"] == "CANCELLED"
    assert await booking.seats() == {}


@contextlib.asynccontextmanager
async def _at_stage(world: Bookings, stage: str) -> AsyncIterator[Booking]:
    """Bring a booking to the stage and keep it there during the block: row locks of the test block its step."""
    if stage in {"start", "holding"}:
        async with _row_locks(world, "1A"):
            booking = await world.start(["1A"])
            if stage == "holding":
                await until(lambda: _is_waiting_for_lock(world), what="the hold to wait for the row lock")
            yield booking
        return
    booking = await world.hold(["1A"])
    match stage:
        case "held":
            yield booking
        case "changing":
            async with _row_locks(world, "1B"):
                await booking.handle.signal("update-seats", {"seats": ["1B"]})
                await until(lambda: _is_waiting_for_lock(world), what="the change to wait for the row lock")
                yield booking
        case "paying":
            await world.bookings.pay(booking.order_id, "12345")
            await world.gateway.is_asked.wait()
            yield booking
        case "confirming":
            await world.bookings.pay(booking.order_id, "12345")
            await world.gateway.is_asked.wait()
            async with _row_locks(world, "1A"):
                world.gateway.go_on.set()
                await until(lambda: _is_waiting_for_lock(world), what="the confirmation to wait for the row lock")
                yield booking
        case _:
            async with _row_locks(world, "1A"):
                await booking.handle.signal("cancel-booking")
                await until(lambda: _is_waiting_for_lock(world), what="the failure to wait for the row lock")
                yield booking


@contextlib.asynccontextmanager
async def _row_locks(world: Bookings, seat: str) -> AsyncIterator[None]:
    async with world.pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT 1 FROM seats WHERE flight_id = $1 AND seat_id = $2 FOR UPDATE", FL101, seat)
        await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        yield


async def _is_waiting_for_lock(world: Bookings) -> bool:
    return bool(
        await world.pool.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
    )


async def _is_cancel_seen(booking: Booking) -> bool:
    history = await booking.handle.fetch_history()
    return any(e.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED for e in history.events)


async def _askings(world: Bookings, count: int) -> bool:
    return len(world.gateway.askings) >= count


async def _require_all_or_nothing(booking: Booking) -> None:
    row, seats, (captures, refunds) = await booking.row(), await booking.seats(), await booking.captures()
    if row["status"] == "CONFIRMED":
        assert set(seats.values()) == {"booked"}
        assert (captures, refunds) == (1, 0)
    else:
        assert row["status"] in {"FAILED", "EXPIRED"}
        assert seats == {}
        assert captures == refunds
    assert await booking.world.locks() == {}


async def _arrive(world: Bookings, stage: str) -> Booking:
    if stage == "refused":
        await world.pool.execute("UPDATE seats SET status = 'blocked', version = 2 WHERE seat_id = '1A'")
        booking = await world.start(["1A"])
        await booking.result()
        return booking
    booking = await world.hold(["1A"])
    match stage:
        case "changed":
            await world.bookings.update_seats(booking.order_id, ["1B"])
        case "paying":
            await world.bookings.pay(booking.order_id, "12345")
            await world.gateway.is_asked.wait()
        case "confirmed":
            world.gateway.go_on.set()
            await world.bookings.pay(booking.order_id, "12345")
            await booking.result()
        case "expired":
            await booking.result()
        case "cancelled":
            await world.bookings.cancel(booking.order_id)
            await booking.result()
    return booking
