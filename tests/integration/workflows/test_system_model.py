"""Random walks of bookings through the whole system, beside a model of the seats' owners and the payments.

PostgreSQL, Valkey, Temporal and the workflows are real; the worker is in this process, and steps stop and start it and
run the reconciler. The model has no ledger steps, locks or timers: only the promises to customers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant

from skyhold.messages import CANCEL_BOOKING, PROCEED_TO_PAYMENT, UPDATE_SEATS
from skyhold.queries import database
from skyhold.reconciliation_messages import RepairKind
from skyhold_local.embedded.servers import Servers
from support.activity_runner import a_flight
from support.bookings import new_order_id, until
from support.gateways import Act
from support.models import SHRINK_SECONDS, Draw, Walker, walk, walk_at_random
from support.system_world import System, refusal_of

pytestmark = pytest.mark.rest

SEATS = ("1A", "1B", "1C", "2A", "2B")
PRICE_CENTS = 35000
HELD = "SEATS_RESERVED"
ENDED = ("CONFIRMED", "FAILED", "EXPIRED")
LOCK_TROUBLES = {RepairKind.LOCK_WITHOUT_HOLD, RepairKind.HOLD_WITHOUT_LOCK, RepairKind.WRONG_LOCK}
APPROVED, DECLINED, SIMPLE = "99999", "00000", "12345"

wishes = st.lists(st.sampled_from(SEATS), unique=True, min_size=1, max_size=3).map(tuple)


@dataclass
class Promise:
    """The promise to the customer of an order: its status, its seats, and whether it was charged."""

    status: str = HELD
    seats: tuple[str, ...] = ()
    paid_cents: int = 0
    is_reset: bool = False  # at most once: Temporal's server refuses to reset the run of a reset
    is_lost: bool = False  # its workflow is terminated, so the reconciler ends it


class SystemWalk(Walker):
    """A few customers of one small flight, and an operator."""

    system: ClassVar[System]

    def __init__(self) -> None:
        super().__init__()
        self.run = self.system.runner.run
        self.flight = self.run(a_flight(self.system.pool, SEATS, price_cents=PRICE_CENTS))
        self.promises: dict[str, Promise] = {}

    def teardown(self) -> None:
        for order_id in self.held():
            self.run(self.system.world.bookings.cancel(order_id))
        self.run(self.system.world.reconcile())

    def possible_steps(self) -> list[str]:
        held, lost = self.held(), self.lost()
        steps = ["wipe_redis", "restart_the_worker", "reconcile"] + ["hold"] * (3 if len(held) < 3 else 1)
        steps += ["reconcile", "ask_the_lost"] * bool(lost)
        steps += ["ask_too_late"] * bool(self.orders(*ENDED)) + ["reset"] * 2 * bool(self.never_reset())
        if held:
            steps += (
                ["change"] * 3
                + ["pay"] * 2
                + ["cancel", "cancel_by_operator", "terminate", "expire", "ask_while_no_worker_runs"]
            )
        return steps

    def orders(self, *statuses: str) -> list[str]:
        return [order_id for order_id, promise in self.promises.items() if promise.status in statuses]

    def held(self) -> list[str]:
        return [order_id for order_id in self.orders(HELD) if not self.promises[order_id].is_lost]

    def lost(self) -> list[str]:
        return [order_id for order_id in self.orders(HELD) if self.promises[order_id].is_lost]

    def never_reset(self) -> list[str]:
        return [order_id for order_id, promise in self.promises.items() if not promise.is_reset]

    def owner(self, seat: str) -> str | None:
        return next((it for it in self.orders(HELD, "CONFIRMED") if seat in self.promises[it].seats), None)

    def can_have(self, order_id: str, seats: tuple[str, ...]) -> bool:
        return all(self.owner(seat) in {None, order_id} for seat in seats)

    # -- Commands of customers ----------------------------------------------------------------------------------------

    def hold(self, draw: Draw) -> None:
        order_id, seats = new_order_id(), draw(wishes)
        expected = None if self.can_have(order_id, seats) else "SeatsUnavailable"
        assert self.refusal(self.system.world.bookings.hold(order_id, self.flight, seats)) == expected
        self.promises[order_id] = Promise("FAILED") if expected else Promise(HELD, seats)

    def change(self, draw: Draw) -> None:
        order_id, seats = draw(st.sampled_from(self.held())), draw(wishes)
        expected = None if self.can_have(order_id, seats) else "SeatsUnavailable"
        assert self.refusal(self.system.world.bookings.update_seats(order_id, seats)) == expected
        if expected is None:
            self.promises[order_id].seats = seats

    def pay(self, draw: Draw) -> None:
        order_id = draw(st.sampled_from(self.held()))
        code = draw(st.sampled_from([APPROVED, APPROVED, SIMPLE, DECLINED]))
        acts = [Act.FAIL_AFTER_CAPTURE, Act.FAIL] + [Act.APPROVE] * 10
        self.system.gateway.script = [draw(st.sampled_from(acts)), Act.APPROVE]
        assert self.refusal(self.system.world.bookings.pay(order_id, code)) is None
        self.end_payment(order_id, is_approved=code != DECLINED)

    def end_payment(self, order_id: str, *, is_approved: bool) -> None:
        promise = self.promises[order_id]
        promise.status = "CONFIRMED" if is_approved else "FAILED"
        promise.paid_cents = PRICE_CENTS * len(promise.seats) if is_approved else 0
        self.settle(order_id)

    def cancel(self, draw: Draw) -> None:
        order_id = draw(st.sampled_from(self.held()))
        assert self.refusal(self.system.world.bookings.cancel(order_id)) is None
        self.promises[order_id].status = "FAILED"

    def expire(self, draw: Draw) -> None:
        order_id = draw(st.sampled_from(self.held()))
        self.run(self.system.lapse(order_id))
        self.promises[order_id].status = "EXPIRED"
        self.settle(order_id)

    def ask_too_late(self, draw: Draw) -> None:
        order_id, bookings = draw(st.sampled_from(self.orders(*ENDED))), self.system.world.bookings
        asks = [bookings.cancel(order_id), bookings.pay(order_id, APPROVED), bookings.update_seats(order_id, ["1A"])]
        assert {self.refusal(ask) for ask in asks} <= {"OrderClosed", "HoldExpired"}

    def ask_the_lost(self, draw: Draw) -> None:
        order_id, bookings = draw(st.sampled_from(self.lost())), self.system.world.bookings
        asks = [bookings.cancel(order_id), bookings.pay(order_id, APPROVED), bookings.update_seats(order_id, ["1A"])]
        assert {self.refusal(ask) for ask in asks} == {"OrderClosed"}

    # -- Operators, outages and repairs -------------------------------------------------------------------------------

    def cancel_by_operator(self, draw: Draw) -> None:
        order_id = draw(st.sampled_from(self.held()))
        self.run(self.system.booking(order_id).handle.cancel())
        self.promises[order_id].status = "FAILED"
        self.settle(order_id)

    def terminate(self, draw: Draw) -> None:
        """Terminate only the workflow: the seats stay with an order without one."""
        order_id = draw(st.sampled_from(self.held()))
        self.run(self.system.booking(order_id).terminate())
        self.promises[order_id].is_lost = True

    def reconcile(self, draw: Draw) -> None:
        """End lost orders, restore wiped locks, and leave live bookings alone."""
        del draw
        report = self.run(self.system.world.reconcile())
        lost = self.lost()
        assert {found.order_id for found in report.findings if found.trouble is RepairKind.LOST_ORDER} == set(lost)
        assert all(found.is_mended for found in report.findings)
        assert {found.trouble for found in report.findings} <= {RepairKind.LOST_ORDER, *LOCK_TROUBLES}
        for order_id in lost:
            self.promises[order_id].status = "FAILED"
            self.seen["mended"] += 1

    def wipe_redis(self, draw: Draw) -> None:
        del draw
        self.run(self.system.wipe_redis())

    def restart_the_worker(self, draw: Draw) -> None:
        del draw
        self.run(self.system.stop_worker())
        self.run(self.system.start_worker())

    def ask_while_no_worker_runs(self, draw: Draw) -> None:
        """Send a signal, which needs no answer; the next worker executes it."""
        order_id, seats = draw(st.sampled_from(self.held())), draw(wishes)
        message = draw(st.sampled_from([UPDATE_SEATS, PROCEED_TO_PAYMENT, CANCEL_BOOKING]))
        body = {UPDATE_SEATS: {"seats": list(seats)}, PROCEED_TO_PAYMENT: {"paymentCode": APPROVED}}.get(message)
        handle = self.system.booking(order_id).handle
        self.run(self.system.stop_worker())
        self.run(handle.signal(message, args=[body] if body else []))
        self.run(self.system.start_worker())
        if message == PROCEED_TO_PAYMENT:
            self.end_payment(order_id, is_approved=True)
        elif message == CANCEL_BOOKING:
            self.promises[order_id].status = "FAILED"
            self.settle(order_id)
        else:
            if self.can_have(order_id, seats):
                self.promises[order_id].seats = seats
            # An extension succeeds after the commands that were sent before it.
            assert (
                self.refusal(self.system.world.bookings.update_seats(order_id, self.promises[order_id].seats)) is None
            )

    def reset(self, draw: Draw) -> None:
        """Reset the workflow: it may be behind until the ledger refuses its first command."""
        order_id = draw(st.sampled_from(self.never_reset()))
        promise = self.promises[order_id]
        promise.is_reset, promise.is_lost = True, False
        booking = self.run(self.system.booking(order_id).reset(to_first=draw(st.booleans()), forget_messages=True))
        nudge = self.system.world.bookings.update_seats(order_id, promise.seats or SEATS[:1])
        assert self.refusal(nudge) in {None, "OrderChanged", "OrderClosed", "HoldExpired", "PaymentInProgress"}

        async def agrees() -> bool | None:
            status = await booking.status()
            return status["status"] == promise.status or None

        self.run(until(agrees, what=f"{order_id} to be {promise.status} again"))

    # -- Invariants ---------------------------------------------------------------------------------------------------

    def refusal(self, command: Awaitable[Any]) -> str | None:
        refusal: str | None = self.run(refusal_of(command))
        self.seen[str(refusal)] += 1
        return refusal

    def settle(self, order_id: str) -> None:
        """Wait until the ledger has the promised state."""
        promise = self.promises[order_id]

        async def agrees() -> bool | None:
            row = await self.system.booking(order_id).row()
            owned = set(await self.system.world.seats_of(order_id))
            return (row["status"] == promise.status and owned == self.owned(order_id)) or None

        self.run(until(agrees, what=f"{order_id} to be {promise}"))

    def owned(self, order_id: str) -> set[str]:
        promise = self.promises[order_id]
        return set() if promise.status in {"FAILED", "EXPIRED"} else set(promise.seats)

    @invariant()
    def every_promise_is_kept(self) -> None:
        for order_id, promise in self.promises.items():
            self.seen[promise.status] += 1
            row, seats = self.run(self.facts(order_id))
            assert row["status"] == promise.status, f"{order_id} is {row['status']}, not {promise}"
            assert seats == self.owned(order_id), f"{order_id} owns {seats}, not {promise}"
            assert row["charged"] == promise.paid_cents, f"{order_id} paid {row['charged']}, not {promise}"
        found = self.run(self.system.findings())
        assert not found, found

    async def facts(self, order_id: str) -> tuple[Any, set[str]]:
        row = await self.system.pool.fetchrow(
            """SELECT status, coalesce((captures - refunds) * amount_cents, 0) AS charged
               FROM orders LEFT JOIN gateway_statement ON key = payment_key WHERE id = $1""",
            order_id,
        )
        return row, set(await self.system.world.seats_of(order_id))


@pytest.fixture
def machine(
    servers: Servers, database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[type[SystemWalk]]:
    del redis_url  # emptied by the fixture
    monkeypatch.setattr(database, "READ_TIMEOUT", 60.0)
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        SystemWalk.system = System(servers, database_url, runner)
        runner.run(SystemWalk.system.open())
        yield SystemWalk
        runner.run(SystemWalk.system.close())


@pytest.mark.timeout(SHRINK_SECONDS)
def test_every_customer_gets_what_was_promised(machine: type[SystemWalk]) -> None:
    walk(machine, walks=6, steps_each=15, until_seen={"CONFIRMED"})


@pytest.mark.long
@pytest.mark.timeout(SHRINK_SECONDS + 1500)
def test_every_customer_gets_what_was_promised_on_long_walks(machine: type[SystemWalk]) -> None:
    walk_at_random(machine, steps=5000, steps_each=25, within_seconds=1500)
    assert set(machine.seen) >= {HELD, *ENDED, "SeatsUnavailable", "OrderClosed", "mended"}
