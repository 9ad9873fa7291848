"""Many customers, few seats: one of them gets each, the others are refused and leave nothing behind."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

import pytest

from skyhold.domain.errors import SeatsUnavailable, SkyholdError
from support.bookings import FL101, Booking, Bookings, OpenWorld

pytestmark = pytest.mark.rest

SWAPPING_SECONDS = 8


async def test_of_fifty_customers_for_one_seat_exactly_one_gets_it(world: Bookings) -> None:
    for number in range(1, 4):
        seat = f"{number}A"

        outcomes = await asyncio.gather(*(world.hold([seat]) for _ in range(50)), return_exceptions=True)

        winners = [outcome for outcome in outcomes if isinstance(outcome, Booking)]
        losers = [outcome for outcome in outcomes if isinstance(outcome, SeatsUnavailable)]
        assert (len(winners), len(losers)) == (1, 49), outcomes
        assert all(loser.fields["conflicts"][0]["seat"] == seat for loser in losers)
        assert (await world.locks())[seat] == winners[0].order_id
    assert await world.pool.fetchval("SELECT count(*) FROM orders WHERE status = 'SEATS_RESERVED'") == 3
    assert await world.pool.fetchval("SELECT count(*) FROM orders WHERE status = 'FAILED'") == 3 * 49
    assert len(await world.locks()) == 3


@pytest.mark.long
async def test_customers_who_swap_seats_among_themselves_never_share_one(open_world: OpenWorld) -> None:
    world = await open_world(max_changes=10_000, max_lifetime_seconds=7200)
    dice = random.Random(7)
    seats = [f"{row}{letter}" for row in range(1, 6) for letter in "ABCDEF"]
    bookings = [await world.hold([seat]) for seat in seats[:15]]
    end = asyncio.get_running_loop().time() + SWAPPING_SECONDS
    refused: list[str] = []
    granted = 0

    async def swap(booking: Booking) -> None:
        nonlocal granted
        while asyncio.get_running_loop().time() < end:
            try:
                await world.bookings.update_seats(booking.order_id, dice.sample(seats, dice.randint(1, 3)))
                granted += 1
            except SkyholdError as refusal:
                refused.append(refusal.code)

    await asyncio.gather(*(swap(booking) for booking in bookings))

    assert set(refused) <= {"SEATS_UNAVAILABLE"}
    assert granted > len(bookings)
    held = await world.pool.fetch("SELECT seat_id, order_id FROM seats WHERE status = 'reserved'")
    chosen = await world.pool.fetch("SELECT seat_id, order_id FROM order_seats")
    assert {tuple(row) for row in held} == {tuple(row) for row in chosen}
    assert await world.locks() == {row["seat_id"]: row["order_id"] for row in held}
    deadlocks = await world.pool.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    assert deadlocks == 0


@pytest.mark.core
async def test_nobody_gets_a_seat_out_of_a_change_that_is_refused(world: Bookings) -> None:
    row = 10
    await world.hold([f"{row}C"])
    booking = await world.hold([f"{row}A", f"{row}B"])
    stop = asyncio.Event()
    stolen: list[Booking] = []

    async def lurk() -> None:
        while not stop.is_set():
            try:
                stolen.append(await world.hold([f"{row}A"]))
            except SeatsUnavailable:
                continue

    lurkers = [asyncio.create_task(lurk()) for _ in range(3)]
    for _ in range(5):
        with pytest.raises(SeatsUnavailable):
            await world.bookings.update_seats(booking.order_id, [f"{row}B", f"{row}C"])
    stop.set()
    await asyncio.gather(*lurkers)

    assert stolen == []
    assert await booking.seats() == {f"{row}A": "reserved", f"{row}B": "reserved"}


@pytest.mark.core
async def test_a_lock_without_a_hold_keeps_nobody_from_a_free_seat(world: Bookings) -> None:
    await world.redis.set(f"seat:lock:{{{FL101}}}:20A", "an-order-that-is-gone", ex=timedelta(minutes=5))

    booking = await world.hold(["20A"])

    assert await world.locks() == {"20A": booking.order_id}


@pytest.mark.core
async def test_a_wiped_redis_gives_no_seat_to_a_second_order(world: Bookings) -> None:
    booking = await world.hold(["20B"])
    await world.redis.flushall()

    with pytest.raises(SeatsUnavailable):
        await world.hold(["20B"])

    assert await booking.seats() == {"20B": "reserved"}
