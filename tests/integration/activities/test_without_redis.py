"""Redis unavailable: booking continues with PostgreSQL alone, and no seat has two owners."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from skyhold.domain.orders import OrderStatus
from skyhold.domain.seats import keys_of
from skyhold.messages import ExpireOrder, Outcome
from skyhold.stores.seat_locks import SeatLocks, open_redis
from support.activity_runner import ActivityRunner, a_flight, change, fail, next_step, release, reserve


@pytest.fixture
async def lone_desk(desk: ActivityRunner) -> AsyncIterator[ActivityRunner]:
    redis = open_redis("redis://127.0.0.1:1")  # a port without a listener
    yield replace(desk, locks=SeatLocks(redis))
    await redis.aclose()


async def test_a_booking_goes_its_whole_way_without_redis(lone_desk: ActivityRunner) -> None:
    flight = await a_flight(lone_desk.pool)
    order = await lone_desk.hold(flight, ["1A"])
    order = await lone_desk.do(change(order, ["1A", "1B"]))
    order = await lone_desk.pay(order)
    assert (order.status, order.seats) == (OrderStatus.CONFIRMED, ("1A", "1B"))


async def test_seats_come_back_without_redis(lone_desk: ActivityRunner) -> None:
    flight = await a_flight(lone_desk.pool)
    cancelled = await lone_desk.do(fail(await lone_desk.hold(flight, ["1A"])))
    await lone_desk.run(release(cancelled))
    lapsed = await lone_desk.hold(flight, ["1A"])
    await lone_desk.let_lapse(lapsed)
    await lone_desk.do(ExpireOrder(next_step(lapsed)))
    assert (await lone_desk.hold(flight, ["1A"])).status is OrderStatus.SEATS_RESERVED


async def test_of_many_at_once_one_gets_the_seat_without_redis(lone_desk: ActivityRunner) -> None:
    flight = await a_flight(lone_desk.pool)
    answers = await asyncio.gather(*(lone_desk.ask(reserve(flight, ["1A"])) for _ in range(10)))
    assert [answer.outcome for answer in answers].count(Outcome.DONE) == 1
    assert [answer.outcome for answer in answers].count(Outcome.REFUSED) == 9


async def test_a_lock_that_is_wrong_keeps_nobody_from_a_free_seat(desk: ActivityRunner) -> None:
    flight = await a_flight(desk.pool)
    await desk.locks.acquire(keys_of(flight, ["1A"]), "an order that is gone", desk.policy.hold_time)
    order = await desk.hold(flight, ["1A"])
    assert order.status is OrderStatus.SEATS_RESERVED
    attempt = await desk.locks.acquire(keys_of(flight, ["1A"]), "another order", desk.policy.hold_time)
    assert attempt.is_contended, "the lock follows the ledger"
