"""Activities publish every change after its commit: exactly the changed seats, and the order."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from temporalio.exceptions import ApplicationError

from skyhold.domain.seats import SeatKey, SeatState, SeatStatus
from skyhold.messages import Answer, RefundPayment, ReleaseSeats
from skyhold.postgresql.pools import Pool
from support.activity_runner import ActivityRunner, a_flight, reserve
from support.cases import (
    POLICY,
    SITUATIONS,
    Prepare,
    ask_for_money_in_vain,
    begin_payment,
    change_seats,
    confirm,
    expire_a_lapsed_order,
    fail_a_held_order,
    refund,
    release_locks,
    reserve_free_seats,
)
from support.gateways import Act, ScriptedGateway

CHANGES_SEATS = [reserve_free_seats, change_seats, confirm, fail_a_held_order, expire_a_lapsed_order]


@pytest.fixture
async def flight(desk: ActivityRunner) -> str:
    return await a_flight(desk.pool)


@pytest.fixture
def desk(desk: ActivityRunner) -> ActivityRunner:
    return replace(desk, policy=POLICY, published=[])


@pytest.mark.parametrize("prepare", SITUATIONS)
async def test_exactly_the_seats_that_a_step_changed_are_told(
    prepare: Prepare, desk: ActivityRunner, flight: str
) -> None:
    ask = await prepare(desk, flight)
    before = await _seats(desk.pool, flight)
    desk.published.clear()
    with contextlib.suppress(ApplicationError):
        await desk.run(ask)
    changed = await _seats(desk.pool, flight) - before
    assert {seat for change in desk.published for seat in change.seats or ()} == changed
    assert {change.flight_id for change in desk.published} <= {flight}


@pytest.mark.parametrize("prepare", CHANGES_SEATS)
async def test_these_steps_change_seats(prepare: Prepare, desk: ActivityRunner, flight: str) -> None:
    ask = await prepare(desk, flight)
    desk.published.clear()
    await desk.run(ask)
    assert desk.published[0].seats


@pytest.mark.parametrize("prepare", [step for step in SITUATIONS if step not in {release_locks, refund}])
async def test_every_step_that_the_ledger_answers_says_that_its_order_changed(
    prepare: Prepare, desk: ActivityRunner, flight: str
) -> None:
    ask = await prepare(desk, flight)
    assert not isinstance(ask, ReleaseSeats | RefundPayment)
    desk.published.clear()
    with contextlib.suppress(ApplicationError):
        await desk.run(ask)
    assert desk.published
    assert {change.order_id for change in desk.published} == {ask.step.order_id}


@pytest.mark.parametrize("prepare", CHANGES_SEATS)
async def test_a_step_that_was_answered_before_tells_that_nobody_knows_its_seats(
    prepare: Prepare, desk: ActivityRunner, flight: str
) -> None:
    """The first run may have died between commit and publish."""
    ask = await prepare(desk, flight)
    await desk.run(ask)
    desk.published.clear()
    await desk.run(ask)
    assert [(change.flight_id, change.seats) for change in desk.published] == [(flight, None)]


async def test_a_stale_step_and_one_of_another_chain_tell_nothing(desk: ActivityRunner, flight: str) -> None:
    order = await desk.hold(flight, ["1A"])
    desk.published.clear()
    await desk.ask(reserve(flight, ["1B"], order_id=order.id))
    await desk.ask(reserve(flight, ["1B"], order_id=order.id, chain="another"))
    assert desk.published == []


async def test_every_attempt_is_told_when_it_begins(desk: ActivityRunner, flight: str) -> None:
    desk = replace(desk, gateway=ScriptedGateway(desk.pool, [Act.FAIL, Act.APPROVE]))
    ask = await ask_for_money_in_vain(desk, flight)
    desk.published.clear()
    with pytest.raises(ApplicationError):
        await desk.run(ask)
    first = len(desk.published)
    await desk.run(ask)
    assert (first, len(desk.published)) == (2, 4), "its beginning and its verdict"


@pytest.mark.parametrize("prepare", [*CHANGES_SEATS, begin_payment])
async def test_what_changed_does_not_cross_temporal(prepare: Prepare, desk: ActivityRunner, flight: str) -> None:
    ask = await prepare(desk, flight)
    first = await desk.run(ask)
    again = await desk.run(ask)
    assert isinstance(first, Answer)
    assert isinstance(again, Answer)
    assert (first.changed_seats, again.changed_seats) == ((), ())


async def _seats(pool: Pool, flight: str) -> set[SeatState]:
    rows = await pool.fetch("SELECT seat_id, status, version, price_cents FROM seats WHERE flight_id = $1", flight)
    return {
        SeatState(SeatKey(flight, row["seat_id"]), SeatStatus(row["status"]), row["version"], row["price_cents"])
        for row in rows
    }
