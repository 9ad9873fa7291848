"""Every activity that changes an order, run twice, cut off anywhere, or late: equal to one clean run, or no change.

All stored data are compared: the order, its seats and prices, its event log, the ledger of payments, the gateway's own
books, and the seat locks with their times to live.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from redis.asyncio import Redis
from temporalio.exceptions import ApplicationError

from skyhold.domain.orders import Order
from skyhold.messages import (
    Answer,
    ExpireOrder,
    Outcome,
    RefundPayment,
    ReleaseSeats,
)
from skyhold.postgresql.pools import Pool
from skyhold.stores.seat_locks import SeatLocks
from support.activity_runner import (
    OTHER_CHAIN,
    ActivityRunner,
    Ask,
    StepAsk,
    a_flight,
    release,
    reserve,
)
from support.cases import (
    POLICY,
    SITUATIONS,
    FollowUp,
    Prepare,
    ask_for_money,
    ask_for_money_in_vain,
    begin_payment,
    begin_payment_of_other_seats,
    change_back,
    change_seats,
    change_to_a_free_seat_with_a_strangers_lock,
    change_to_a_taken_seat,
    close_what_was_captured,
    close_what_was_captured_unheard,
    close_what_was_never_asked_for,
    confirm,
    confirm_lost_seats,
    end_as_failed,
    expire_a_lapsed_order,
    expire_an_order_with_time_left,
    extend_a_hold,
    fail_a_held_order,
    fail_a_paid_order,
    leave_alone,
    let_expire,
    move_elsewhere,
    refund,
    reserve_a_free_seat_with_a_strangers_lock,
    reserve_free_seats,
    see_confirmed,
    take_the_money,
)
from support.end_states import EndState, end_state, times_asked
from support.fault_injection import CrashedError, Cut, CutGateway, CutLocks, CutPool, Wire, as_pool
from support.gateways import Act, ScriptedGateway

pytestmark = pytest.mark.rest


@dataclass(frozen=True)
class World:
    """The stores under test, and the setup of a case on a flight of its own."""

    pool: Pool
    redis: Redis

    def desk(self, gateway: ScriptedGateway) -> ActivityRunner:
        return ActivityRunner(self.pool, SeatLocks(self.redis), gateway, POLICY)

    def cut_desk(self, gateway: ScriptedGateway, wire: Wire) -> ActivityRunner:
        return ActivityRunner(
            as_pool(CutPool(self.pool, wire)), CutLocks(self.redis, wire), CutGateway(gateway, wire), POLICY
        )

    async def state(self, flight: str, order_id: str) -> EndState:
        return await end_state(self.pool, self.redis, flight, ours=order_id)


@pytest.fixture
def world(shared_pool: Pool, shared_redis: Redis) -> World:
    return World(shared_pool, shared_redis)


def _gateway(world: World, prepare: Prepare) -> ScriptedGateway:
    return ScriptedGateway(world.pool, [Act.FAIL if prepare is ask_for_money_in_vain else Act.APPROVE])


async def run_to_end(desk: ActivityRunner, ask: Ask) -> Answer | None:
    """Run the activity as Temporal does: again, while it raises a retryable error."""
    for _ in range(POLICY.payment_attempts):
        try:
            return await desk.run(ask)
        except ApplicationError as again:
            assert again.type == "PaymentAttemptFailed"
    raise AssertionError("the activity never came to an end")


def _order_id(ask: Ask) -> str:
    return ask.order_id if isinstance(ask, ReleaseSeats | RefundPayment) else ask.step.order_id


def _verdict(answer: Answer | None) -> object:
    return answer and (answer.outcome, answer.refusal)


LOCKS_GO_LATER = {fail_a_held_order, fail_a_paid_order, expire_a_lapsed_order, confirm_lost_seats, refund}
"""Orders that lost their seats: ReleaseSeats releases their locks."""


@pytest.mark.parametrize("prepare", SITUATIONS, ids=lambda prepare: prepare.__name__)
async def test_the_locks_of_an_order_are_those_of_the_seats_it_holds(world: World, prepare: Prepare) -> None:
    desk = world.desk(_gateway(world, prepare))
    flight = await a_flight(world.pool)
    ask = await prepare(desk, flight)
    await run_to_end(desk, ask)
    state = await world.state(flight, _order_id(ask))
    held = {seat for seat, status, owner, *_ in state["seats"] if (status, owner) == ("reserved", "ours")}
    locked = {seat for seat, owner, _ in state["locks"] if owner == "ours"}
    assert held <= locked
    assert locked == held or prepare in LOCKS_GO_LATER


@pytest.mark.parametrize("prepare", SITUATIONS, ids=lambda prepare: prepare.__name__)
async def test_twice_is_once(world: World, prepare: Prepare) -> None:
    desk = world.desk(_gateway(world, prepare))
    flight = await a_flight(world.pool)
    ask = await prepare(desk, flight)
    before = await world.state(flight, _order_id(ask))
    first = await run_to_end(desk, ask)
    once = await world.state(flight, _order_id(ask))
    assert once != before, "the situation must be one in which there is something to do"
    second = await run_to_end(desk, ask)
    assert await world.state(flight, _order_id(ask)) == once
    assert _verdict(second) == _verdict(first)
    if first is not None and first.order is not None and second is not None and second.order is not None:
        assert replace(second.order, left_seconds=0) == replace(first.order, left_seconds=0)


@pytest.mark.parametrize("cut", [Cut.CRASH_AFTER, Cut.CANCEL_DURING, Cut.CANCEL_AFTER])
@pytest.mark.parametrize("prepare", SITUATIONS, ids=lambda prepare: prepare.__name__)
async def test_cut_off_at_any_call_and_run_again_it_is_as_one_clean_run(
    world: World, prepare: Prepare, cut: Cut
) -> None:
    gateway = _gateway(world, prepare)
    desk = world.desk(gateway)
    flight = await a_flight(world.pool)
    ask = await prepare(desk, flight)
    clean_answer = await run_to_end(desk, ask)
    clean = await world.state(flight, _order_id(ask))

    for point in itertools.count():
        flight = await a_flight(world.pool)
        ask = await prepare(desk, flight)
        wire = Wire(point, cut)
        cut_off = asyncio.create_task(world.cut_desk(gateway, wire).run(ask))
        await asyncio.wait({cut_off}, timeout=10)
        if not wire.has_cut:
            assert point > 0
            await asyncio.gather(cut_off, return_exceptions=True)
            return
        if cut is not Cut.CANCEL_DURING:  # a cancel that comes with the last byte may find no running task
            assert cut_off.cancelled() or isinstance(cut_off.exception(), CrashedError), wire.trail
        answer = await run_to_end(desk, ask)
        assert await world.state(flight, _order_id(ask)) == clean, f"{cut.value} {wire.trail[-1]} after {wire.trail}"
        assert _verdict(answer) == _verdict(clean_answer), f"{cut.value} {wire.trail[-1]}"


# -- Late ---------------------------------------------------------------------------------------------------------------


FROM_HELD: Sequence[FollowUp] = [move_elsewhere, let_expire, end_as_failed, take_the_money, see_confirmed]
FROM_PAYING: Sequence[FollowUp] = [end_as_failed, take_the_money, see_confirmed]
FROM_CAPTURED: Sequence[FollowUp] = [end_as_failed, see_confirmed]

NEVER_RUN: dict[Prepare, Sequence[FollowUp]] = {
    change_seats: FROM_HELD,
    extend_a_hold: FROM_HELD,
    begin_payment: FROM_HELD,
    fail_a_held_order: FROM_HELD,
    expire_an_order_with_time_left: FROM_HELD,
    ask_for_money: FROM_PAYING,
    close_what_was_never_asked_for: FROM_PAYING,
    close_what_was_captured: FROM_CAPTURED,
    confirm: FROM_CAPTURED,
    fail_a_paid_order: FROM_CAPTURED,
}
"""Scheduled and delayed, while the order moved on under a later run of its workflow."""

RUN_BEFORE: dict[Prepare, Sequence[FollowUp]] = {
    reserve_free_seats: FROM_HELD,
    reserve_a_free_seat_with_a_strangers_lock: FROM_HELD,
    change_seats: FROM_HELD,
    extend_a_hold: FROM_HELD,
    change_to_a_taken_seat: [let_expire, end_as_failed, take_the_money, see_confirmed],
    change_to_a_free_seat_with_a_strangers_lock: FROM_HELD,
    begin_payment: FROM_PAYING,
    begin_payment_of_other_seats: FROM_HELD,
    expire_an_order_with_time_left: FROM_HELD,
    ask_for_money: FROM_CAPTURED,
    close_what_was_never_asked_for: [end_as_failed],
    close_what_was_captured: FROM_CAPTURED,
    close_what_was_captured_unheard: FROM_CAPTURED,
}
"""Done once already, and run again after the order has moved on."""


def _cases(table: dict[Prepare, Sequence[FollowUp]]) -> list[object]:
    return [
        pytest.param(prepare, fate, id=f"{prepare.__name__}, then {fate.__name__}")
        for prepare, fates in table.items()
        for fate in fates
    ]


@pytest.mark.parametrize(("prepare", "fate"), _cases(NEVER_RUN))
async def test_a_first_run_that_comes_late_changes_nothing(world: World, prepare: Prepare, fate: FollowUp) -> None:
    await _run_late(world, prepare, fate, is_run_before=False)


@pytest.mark.parametrize(("prepare", "fate"), _cases(RUN_BEFORE))
async def test_a_second_run_that_comes_late_changes_nothing(world: World, prepare: Prepare, fate: FollowUp) -> None:
    await _run_late(world, prepare, fate, is_run_before=True)


async def _run_late(world: World, prepare: Prepare, fate: FollowUp, *, is_run_before: bool) -> None:
    desk = world.desk(ScriptedGateway(world.pool))
    flight = await a_flight(world.pool)
    ask = await prepare(desk, flight)
    assert not isinstance(ask, ReleaseSeats | RefundPayment)
    if is_run_before:
        answer = await desk.ask(ask)
        assert answer.order is not None
        order = answer.order
    else:
        order = await _order_as_it_is(desk, ask)
    order = await fate(desk, order)
    before, asked = await world.state(flight, order.id), await times_asked(world.pool, flight)

    late = await desk.ask(ask)

    assert await world.state(flight, order.id) == before
    assert await times_asked(world.pool, flight) == asked, "the gateway must not even be asked"
    is_same_step = not is_run_before and order.step == ask.step.number
    assert late.outcome is Outcome.STALE or (is_same_step and late.outcome is Outcome.DONE)
    assert late.order is not None
    assert (late.order.step, late.order.status) == (order.step, order.status), "it is told where the order is"


async def _order_as_it_is(desk: ActivityRunner, ask: StepAsk) -> Order:
    """Send a step out of order: the answer is stale and carries the order."""
    probe = await desk.ask(ExpireOrder(replace(ask.step, number=99)))
    assert probe.outcome is Outcome.STALE
    assert probe.order is not None
    return probe.order


@pytest.mark.parametrize("prepare", [*NEVER_RUN, expire_a_lapsed_order], ids=lambda prepare: prepare.__name__)
async def test_another_chains_activity_changes_nothing(world: World, prepare: Prepare) -> None:
    desk = world.desk(ScriptedGateway(world.pool))
    flight = await a_flight(world.pool)
    ask = await prepare(desk, flight)
    assert not isinstance(ask, ReleaseSeats | RefundPayment)
    await _require_taken(world, desk, flight, replace(ask, step=replace(ask.step, chain=OTHER_CHAIN)))


@pytest.mark.parametrize("seats", [["1A"], ["1A", "1C"], ["1C"], ["1D"]])
async def test_a_second_start_under_a_taken_order_id_changes_nothing(world: World, seats: list[str]) -> None:
    desk = world.desk(ScriptedGateway(world.pool))
    flight = await a_flight(world.pool)
    order = await desk.hold(flight, ["1A", "1B"])
    await desk.hold(flight, ["1D"])
    await _require_taken(world, desk, flight, reserve(flight, seats, order_id=order.id, chain=OTHER_CHAIN))


async def _require_taken(world: World, desk: ActivityRunner, flight: str, ask: StepAsk) -> None:
    before, asked = await world.state(flight, ask.step.order_id), await times_asked(world.pool, flight)
    answer = await desk.ask(ask)
    assert answer.outcome is Outcome.NOT_OWNER
    assert answer.order is None, "another chain's order is nobody's business"
    assert await world.state(flight, ask.step.order_id) == before
    assert await times_asked(world.pool, flight) == asked


async def test_a_late_release_leaves_the_locks_of_those_who_came_after(world: World) -> None:
    desk = world.desk(ScriptedGateway(world.pool))
    flight = await a_flight(world.pool)
    order = await end_as_failed(desk, await desk.hold(flight, ["1A", "1B"]))
    await desk.hold(flight, ["1A"])
    before = await world.state(flight, order.id)
    await desk.run(release(order))
    assert await world.state(flight, order.id) == before
    assert len(before["locks"]) == 1


@pytest.mark.parametrize("fate", FROM_HELD, ids=lambda fate: fate.__name__)
async def test_a_refund_that_nobody_owes_is_not_made(world: World, fate: FollowUp) -> None:
    desk = world.desk(ScriptedGateway(world.pool))
    flight = await a_flight(world.pool)
    order = await fate(desk, await desk.hold(flight, ["1A", "1B"]))
    before = await world.state(flight, order.id)
    await desk.run(RefundPayment(order.id))
    assert await world.state(flight, order.id) == before


# -- Stopped in the middle, continued after the order moved on ---------------------------------------------------------


@dataclass(frozen=True)
class Slow:
    """A situation, and the workflow's next request after a second run of the activity has answered."""

    prepare: Prepare
    fate: FollowUp
    but: frozenset[str] = field(default_factory=frozenset)


SLOW = [
    Slow(reserve_free_seats, move_elsewhere),
    Slow(reserve_free_seats, end_as_failed),
    Slow(change_seats, end_as_failed),
    Slow(extend_a_hold, end_as_failed),
    Slow(extend_a_hold, see_confirmed),
    Slow(change_to_a_taken_seat, end_as_failed),
    Slow(begin_payment, end_as_failed),
    Slow(begin_payment, see_confirmed),
    Slow(ask_for_money, end_as_failed),
    Slow(ask_for_money, see_confirmed),
    Slow(close_what_was_never_asked_for, end_as_failed),
    Slow(close_what_was_captured, see_confirmed),
    Slow(fail_a_held_order, leave_alone),
    Slow(expire_an_order_with_time_left, see_confirmed),
    # A lock knows its order, not its step, so a run that stopped between its commit and its locks can remove one that
    # was acquired again meanwhile, or leave one behind. PostgreSQL holds the seats; the reconciler corrects the locks.
    Slow(change_seats, change_back, but=frozenset({"locks"})),
    Slow(reserve_a_free_seat_with_a_strangers_lock, end_as_failed, but=frozenset({"locks"})),
]


async def _has_stopped(wire: Wire, run: asyncio.Task[Answer | None]) -> bool:
    paused = asyncio.create_task(wire.paused.wait())
    await asyncio.wait({run, paused}, timeout=10, return_when=asyncio.FIRST_COMPLETED)
    paused.cancel()
    return wire.has_cut


@pytest.mark.parametrize("slow", SLOW, ids=lambda slow: f"{slow.prepare.__name__}, then {slow.fate.__name__}")
async def test_stopped_at_any_call_and_going_on_when_the_order_moved_on_it_changes_nothing(
    world: World, slow: Slow
) -> None:
    gateway = _gateway(world, slow.prepare)
    desk = world.desk(gateway)
    clean: EndState = {}
    for point in itertools.count(-1):
        flight = await a_flight(world.pool)
        ask = await slow.prepare(desk, flight)
        assert not isinstance(ask, ReleaseSeats | RefundPayment)
        wire = Wire(point, Cut.PAUSE_AFTER)
        stopped = None
        if point >= 0:
            stopped = asyncio.create_task(world.cut_desk(gateway, wire).run(ask))
            if not await _has_stopped(wire, stopped):
                if len(wire.trail) <= point:
                    return
                continue  # A run that stops within its transaction loses it within 5 s, like a run cut off.
        answer = await desk.ask(ask)
        assert answer.order is not None
        order = await slow.fate(desk, answer.order)
        if stopped is not None:
            wire.go_on.set()
            await asyncio.wait_for(stopped, 10)
        state = await world.state(flight, order.id)
        clean = clean or state
        for store in set(state) - slow.but:
            assert state[store] == clean[store], f"{store}, stopped after {wire.trail[point]}: {wire.trail}"
