"""Concurrent claims of the same seats: nothing is sold twice, all waits end, and there are no deadlocks."""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from skyhold.domain.errors import HoldLimit, SeatsUnavailable
from skyhold.domain.orders import Order, OrderStatus, Policy
from skyhold.messages import Answer, Outcome, RefreshSeatLocks, ReserveSeats
from skyhold.postgresql.errors import PostgresBusy
from skyhold.postgresql.pools import Pool
from skyhold.postgresql.sessions import Connection
from skyhold.stores.ledger import Ledger
from skyhold.stores.seats import SeatStore
from support.activity_runner import ActivityRunner, a_flight, change, fail, next_step, reserve
from support.bookings import NAMESPACE_ID, new_order_id, until

pytestmark = pytest.mark.rest

SWAPPERS = 30
SWAPS_EACH = 30

# I1, I2 and I4 of docs/rules.md#invariants, for one flight.
_VIOLATIONS = """
SELECT 'I1 status and owner disagree: ' || s.seat_id FROM seats s LEFT JOIN orders o ON o.id = s.order_id
WHERE s.flight_id = $1 AND ((s.status IN ('reserved', 'booked')) <> (o.id IS NOT NULL)
                            OR (s.status = 'booked') <> coalesce(o.status = 'CONFIRMED', false))
UNION ALL
SELECT 'I1 an order has other seats than it chose: ' || o.id FROM orders o
WHERE o.flight_id = $1 AND o.status IN ('SEATS_RESERVED', 'PAYMENT_PENDING', 'PAYMENT_PROCESSING', 'CONFIRMED')
  AND ARRAY(SELECT seat_id FROM seats WHERE order_id = o.id ORDER BY 1)
      <> ARRAY(SELECT seat_id FROM order_seats WHERE order_id = o.id ORDER BY 1)
UNION ALL
SELECT 'I2 an ended order owns a seat: ' || o.id FROM orders o JOIN seats s ON s.order_id = o.id
WHERE o.flight_id = $1 AND o.status IN ('FAILED', 'EXPIRED')
UNION ALL
SELECT 'I4 the total is not the sum: ' || o.id FROM orders o
WHERE o.flight_id = $1 AND o.status = 'SEATS_RESERVED'
  AND o.total_price_cents <> (SELECT sum(price_cents) FROM order_seats WHERE order_id = o.id)
"""


@pytest.fixture
def seats(shared_pool: Pool) -> SeatStore:
    return SeatStore(Ledger(shared_pool))


async def hold(seats: SeatStore, ask: ReserveSeats, *, policy: Policy | None = None) -> Answer:
    return await seats.reserve(
        ask, flight_id=ask.hold.flight_id, policy=policy or Policy(), namespace_id=NAMESPACE_ID, is_contended=False
    )


async def test_thirty_customers_who_swap_seats_at_random_never_share_one_and_never_block_each_other(
    shared_pool: Pool, seats: SeatStore
) -> None:
    cabin = [f"{row}{letter}" for row in range(1, 11) for letter in "ABCDEF"]
    flight = await a_flight(shared_pool, cabin)
    dice = random.Random(7)
    granted = refused = 0

    async def swap(answer: Answer) -> None:
        nonlocal granted, refused
        for _ in range(SWAPS_EACH):
            assert answer.order is not None
            wanted = dice.sample(cabin, dice.randint(1, 2))
            answer = await seats.update_selection(
                change(answer.order, wanted, deadline=None), is_contended=dice.random() < 0.5
            )
            if answer.outcome is Outcome.DONE:
                granted += 1
            else:
                refused += 1
                assert answer.refusal is not None
                assert answer.refusal.error == SeatsUnavailable.__name__

    # All have a seat before any claims another's.
    held = [await hold(seats, reserve(flight, [seat])) for seat in cabin[:SWAPPERS]]
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for answer in held:
            group.create_task(swap(answer))
    assert [row[0] for row in await shared_pool.fetch(_VIOLATIONS, flight)] == []
    assert granted > SWAPPERS
    assert refused > SWAPPERS


async def test_of_many_who_want_the_last_seat_at_once_one_gets_it(shared_pool: Pool, seats: SeatStore) -> None:
    flight = await a_flight(shared_pool, ["1A"])
    answers = await asyncio.gather(*(hold(seats, reserve(flight, ["1A"])) for _ in range(20)))
    assert [answer.outcome for answer in answers].count(Outcome.DONE) == 1
    refusals = [answer.refusal for answer in answers if answer.refusal]
    assert {refusal.error for refusal in refusals} == {SeatsUnavailable.__name__}
    assert refusals[0].fields["conflicts"] == [{"seat": "1A", "status": "reserved"}]
    assert [row[0] for row in await shared_pool.fetch(_VIOLATIONS, flight)] == []


async def test_of_twenty_orders_of_one_guest_at_once_five_are_held(shared_pool: Pool, seats: SeatStore) -> None:
    cabin = [f"{row}A" for row in range(1, 21)]
    flight, guest = await a_flight(shared_pool, cabin), new_order_id()
    asks = [reserve(flight, [seat], guest_hash=guest) for seat in cabin]
    answers = await asyncio.gather(*(hold(seats, ask, policy=Policy(max_holds=5)) for ask in asks))
    assert [answer.outcome for answer in answers].count(Outcome.DONE) == 5
    refusals = [answer.refusal for answer in answers if answer.refusal]
    assert {refusal.error for refusal in refusals} == {HoldLimit.__name__}
    assert refusals[0].fields == {"limit": 5}


async def test_an_order_that_ended_makes_room_for_another(desk: ActivityRunner) -> None:
    desk = ActivityRunner(desk.pool, desk.locks, desk.gateway, Policy(max_holds=1))
    flight, guest = await a_flight(desk.pool), new_order_id()
    first = await desk.hold(flight, ["1A"], guest_hash=guest)
    paying = await desk.begin_payment(first)
    refused = await desk.ask(reserve(flight, ["1B"], guest_hash=guest))
    assert refused.refusal is not None
    assert refused.refusal.error == HoldLimit.__name__
    assert await desk.hold(flight, ["1B"], guest_hash=new_order_id()), "another guest has a limit of their own"
    await desk.confirm(await desk.capture(paying))
    assert (await desk.hold(flight, ["1C"], guest_hash=guest)).status is OrderStatus.SEATS_RESERVED


async def test_the_wait_for_a_guests_other_order_is_bounded(shared_pool: Pool, seats: SeatStore) -> None:
    flight, guest = await a_flight(shared_pool), new_order_id()
    ask = reserve(flight, ["1A"], guest_hash=guest)
    async with shared_pool.acquire() as stopped, stopped.transaction():
        await stopped.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", guest)
        started = time.monotonic()
        keep_alive = asyncio.create_task(_keep_alive(stopped))
        with pytest.raises(PostgresBusy):
            await hold(seats, ask)
        assert time.monotonic() - started < 10, "without a bound the other one's lock is waited for as long as it lasts"
        keep_alive.cancel()
        await asyncio.gather(keep_alive, return_exceptions=True)
    assert await shared_pool.fetchval("SELECT count(*) FROM orders WHERE id = $1", ask.step.order_id) == 0
    assert (await hold(seats, ask)).outcome is Outcome.DONE


@pytest.mark.parametrize("act", ["payment begins", "order fails", "order is confirmed", "seats change"])
async def test_every_act_locks_its_seats_from_nose_to_tail(desk: ActivityRunner, act: str) -> None:
    """A rival that holds the row lock of the first seat finds the last one free, so no deadlock is possible."""
    flight = await a_flight(desk.pool, ["1A", "1B", "1C"])
    # 1A is claimed after 1B, so its row is stored later: a claim in storage order would lock 1B first.
    order = await desk.do(change(await desk.hold(flight, ["1B"]), ["1A", "1B"]))
    if act == "order is confirmed":
        order = await desk.capture(await desk.begin_payment(order))

    async with desk.pool.acquire() as rival, rival.transaction():
        await rival.execute("SELECT 1 FROM seats WHERE flight_id = $1 AND seat_id = '1A' FOR UPDATE", flight)
        acting = asyncio.create_task(_act(desk, act, order))
        await until(lambda: _is_waiting(desk.pool, rival), what="the act to wait for the first seat")
        await rival.execute("SELECT 1 FROM seats WHERE flight_id = $1 AND seat_id = '1B' FOR UPDATE NOWAIT", flight)
    async with asyncio.timeout(10):
        assert await acting is not None


async def _act(desk: ActivityRunner, act: str, order: Order) -> Order:
    match act:
        case "payment begins":
            return await desk.do(RefreshSeatLocks(next_step(order)))
        case "order fails":
            return await desk.do(fail(order))
        case "order is confirmed":
            return await desk.confirm(order)
        case _:
            return await desk.do(change(order, ["1B", "1C"]))


async def _is_waiting(pool: Pool, rival: Connection) -> bool:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE $1 = ANY(pg_blocking_pids(pid))"
    return bool(await pool.fetchval(waiting, rival.get_server_pid()))


async def _keep_alive(connection: Connection) -> None:
    """Keep an idle transaction below its own timeout, so that the test exercises the timeout of the waiting one."""
    while True:
        await connection.execute("SELECT 1")
        await asyncio.sleep(0.5)
