"""Random walks of several orders on one small flight, through the real activities, beside the model of the ledger.

The steps of a booking, with all kinds of faults: the same step again, a late duplicate, another chain's step, a step
out of order, a run cut off or stopped between its two transactions, a gateway that captured and lost its reply or
charges late, deadlines that pass, prices that change, a Redis that is wiped or has wrong locks, manual SQL on a seat.
After each step the ledger must equal the model, and the audit find only the results of that SQL.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import invariant

from skyhold.domain.orders import FailureCode
from skyhold.domain.requests import HoldRequest, SeatChange
from skyhold.messages import (
    ClosePayment,
    ConfirmOrder,
    ExpireOrder,
    FailOrder,
    RefreshSeatLocks,
    ReleaseSeats,
    ReserveSeats,
    UpdateSeatSelection,
    ValidatePayment,
)
from skyhold.payments.simulated import ALWAYS_DECLINED
from support.activity_runner import APPROVED, DECLINED, OTHER_CHAIN, StepAsk, a_step
from support.gateways import Chance
from support.ledger_model import DONE, HOLDING, LEGAL, OPEN, STALE, TAKEN, LedgerModel, Left, ModelOrder, Reply
from support.ledger_world import LedgerWorld, Run, StoppedRun, elsewhere, row_of
from support.models import Draw, Walker

SEATS, BLOCKED = ("1A", "1B", "1C", "2A", "2B"), ("3C",)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
LATE = {Left.FULL: 900.0, Left.LITTLE: 100.0, Left.NONE: -1.0}

wishes = st.lists(st.sampled_from([*SEATS * 4, *BLOCKED, "9K"]), unique=True, min_size=1, max_size=4).map(tuple)
KINDS = list(LEGAL)

CHANCES = {
    ValidatePayment: [*[Chance.ANSWER] * 4, *[Chance.FAIL] * 3, Chance.WAIT, *Chance],
    ClosePayment: [*[Chance.ANSWER] * 4, Chance.CRASH_BEFORE, Chance.CRASH_AFTER, Chance.WAIT],
}

give_ups = st.sampled_from([None] * 11 + [LONG_AGO])


class LedgerWalk(Walker):
    """A few orders, whose steps come in random order."""

    world: ClassVar[LedgerWorld]

    def __init__(self) -> None:
        super().__init__()
        self.run = self.world.run
        self.run(self.world.begin())
        flights = {self.world.flight: None, self.world.departed: "FlightDeparted"}
        self.model = LedgerModel(dict.fromkeys((*SEATS, *BLOCKED), 100), frozenset(BLOCKED), flights)
        self.asked: list[StepAsk] = []
        self.stopped: list[tuple[StoppedRun, int]] = []
        self.unanswered: list[tuple[str, bool]] = []

    def teardown(self) -> None:
        self.run(self.world.give_up([stopped for stopped, _ in self.stopped]))

    def possible_steps(self) -> list[str]:
        orders = self.model.orders.values()
        steps = ["be_wiped", "change_the_price"]
        steps += ["reserve"] * (3 if len(orders) < 3 else int(len(orders) < 6))
        steps += ["ask_out_of_turn", "ask_again", "ask_as_another_chain"] * bool(orders)
        steps += ["go_on"] * 7 * any(order.status in HOLDING for order in orders)
        steps += ["let_time_pass"] * 2 * any(order.status == "SEATS_RESERVED" for order in orders)
        steps += ["rob"] * any(order.status in HOLDING for order in orders)
        steps += ["rob"] * 2 * any(map(_is_about_to_be_confirmed, orders))
        steps += ["refund"] * 2 * any(order.payment == "refund_due" for order in orders)
        steps += ["go_on_after_standing_still"] * 2 * bool(self.stopped)
        steps += ["capture_late"] * bool(self.unanswered)
        return steps

    # -- The steps of a booking ---------------------------------------------------------------------------------------

    def reserve(self, draw: Draw) -> None:
        flight = draw(st.sampled_from([self.world.flight] * 12 + [self.world.departed, "no flight"]))
        guest = draw(st.sampled_from([None, "a guest"]))
        order_id = f"order-{len(self.model.orders)}"
        wanted = draw(wishes)
        expected = self.some_total(wanted, draw)
        hold = HoldRequest(order_id, flight, wanted, guest, draw(give_ups), expected)
        self.ask(ReserveSeats(a_step(order_id, 1), hold), draw)

    def go_on(self, draw: Draw) -> None:
        order = self.some_order(draw, *HOLDING)
        if order.answer == OPEN and draw(st.sampled_from([True, True, True, False])):
            self.ask(next(ask for ask in reversed(self.asked) if ask.step.order_id == order.id), draw)
            return
        kinds: dict[str, list[type]] = {
            "SEATS_RESERVED": [UpdateSeatSelection] * 3 + [RefreshSeatLocks] * 4 + [FailOrder, ExpireOrder],
            "PAYMENT_PENDING": [ValidatePayment] * 5 + [ClosePayment, FailOrder],
            "PAYMENT_PROCESSING": [ConfirmOrder] * 3 + [ClosePayment] * 2 + [FailOrder],
        }
        kind = draw(st.sampled_from(kinds[order.status]))
        self.ask(self.make(kind, order, order.step + 1, draw), draw)

    def refund(self, draw: Draw) -> None:
        due = [order for order in self.model.orders.values() if order.payment == "refund_due"]
        order = draw(st.sampled_from(due))
        chance = draw(st.sampled_from([Chance.ANSWER, Chance.ANSWER, Chance.CRASH_BEFORE, Chance.CRASH_AFTER]))
        self.run(self.world.refund(order.id, chance))
        if chance is not Chance.CRASH_BEFORE:
            order.gateway = "refunded"
        if chance is Chance.ANSWER:
            order.payment = "refunded"
            self.seen["refunded"] += 1

    def make(self, kind: type, order: ModelOrder, number: int, draw: Draw) -> StepAsk:
        step = a_step(order.id, number)
        version = draw(st.sampled_from([None] * 5 + [order.version, order.version + 1]))
        if kind is ReserveSeats:
            return ReserveSeats(step, HoldRequest(order.id, self.world.flight, draw(wishes), order.guest))
        if kind is UpdateSeatSelection:
            held = tuple(order.prices)
            wanted = draw(st.one_of(wishes, wishes, st.just(held))) if held else draw(wishes)
            expected = self.some_total(wanted, draw, order)
            change = SeatChange(wanted, version, draw(give_ups), expected)
            return UpdateSeatSelection(step, self.world.flight, held, 900, change)
        if kind is RefreshSeatLocks:
            return RefreshSeatLocks(step, version, draw(give_ups))
        if kind is ValidatePayment:
            return ValidatePayment(step, draw(st.sampled_from([APPROVED, APPROVED, APPROVED, DECLINED])))
        if kind is FailOrder:
            code = draw(st.sampled_from([FailureCode.CANCELLED, FailureCode.SEATS_LOST]))
            return FailOrder(step, code, "as the walk goes", version)
        ask: StepAsk = kind(step)
        return ask

    def some_total(self, wanted: tuple[str, ...], draw: Draw, order: ModelOrder | None = None) -> int | None:
        """Return the expected total of a command: mostly none, sometimes the right sum or another one."""
        prices = self.model.price | (order.prices if order else {})
        total = sum(prices.get(seat, 0) for seat in wanted)
        return draw(st.sampled_from([None, None, None, None, total, total + 1]))

    # -- Faults of a step ---------------------------------------------------------------------------------------------

    def ask_again(self, draw: Draw) -> None:
        """Run a step that was run before: the last one, or a late duplicate of an old one."""
        self.ask(draw(st.sampled_from(self.asked)), draw)

    def ask_out_of_turn(self, draw: Draw) -> None:
        order = self.some_order(draw)
        number = draw(st.sampled_from([order.step, order.step + 1, order.step + 2, 1]))
        self.ask(self.make(draw(st.sampled_from(KINDS)), order, number or 1, draw), draw)

    def ask_as_another_chain(self, draw: Draw) -> None:
        order = self.some_order(draw)
        ask = self.make(draw(st.sampled_from(KINDS)), order, order.step + 1, draw)
        number = draw(st.sampled_from([1, order.step + 1]))
        self.ask(elsewhere(ask, number=number, chain=OTHER_CHAIN), draw)

    def go_on_after_standing_still(self, draw: Draw) -> None:
        stopped, attempt = self.stopped.pop(draw(st.integers(0, len(self.stopped) - 1)))
        run = self.run(self.world.go_on(stopped))
        expected = self.expected_of_gateway(stopped.ask, Chance.ANSWER, attempt)
        self.seen["stood still"] += 1
        self.seen["stood still and came late"] += expected == STALE
        assert run.reply == expected

    def ask(self, ask: StepAsk, draw: Draw) -> None:
        """Run the step with a random course of the gateway, and compare its answer with the model's."""
        self.asked.append(ask)
        before = self.model_seats()
        versions_before = {order.id: order.version for order in self.model.orders.values()}
        reply = self.model.judge(ask)
        is_payment = reply == OPEN and isinstance(ask, ValidatePayment | ClosePayment)
        chance = draw(st.sampled_from(CHANCES[type(ask)])) if is_payment else Chance.ANSWER
        attempt = len(self.model.orders[ask.step.order_id].verdicts) + 1 if is_payment else 0
        run = self.run(self.do(ask, chance))
        if isinstance(run, StoppedRun):
            self.stopped.append((run, attempt))
            return
        expected = self.expected_of_gateway(ask, chance, attempt) if is_payment else reply
        self.seen[f"{type(ask).__name__} {run.reply and run.reply.outcome}"] += 1
        self.seen[str(run.reply and run.reply.refusal)] += 1
        self.seen["extended"] += _is_extension(ask, run, versions_before)
        assert run.reply == expected, f"{ask} was answered {run}"
        after = self.model_seats()
        assert run.told_seats == {seat for seat in after if after[seat] != before[seat]}
        self.require_order(ask, run)

    async def do(self, ask: StepAsk, chance: Chance) -> Run | StoppedRun:
        if chance is Chance.WAIT:
            return await self.world.stop_before_the_gateway(ask)
        if chance is Chance.TIME_OUT:
            return await self.world.time_out(ask)
        return await self.world.do(ask, chance)

    def expected_of_gateway(self, ask: StepAsk, chance: Chance, attempt: int) -> Reply | None:
        """Let the model's gateway do its part, and return the result of the run; None if it was cut off."""
        assert isinstance(ask, ValidatePayment | ClosePayment)
        order = self.model.orders[ask.step.order_id]
        if chance in {Chance.TIME_OUT, Chance.CRASH_BEFORE} and isinstance(ask, ValidatePayment):
            self.unanswered.append((order.id, _is_approved(ask)))
        if chance is Chance.CRASH_BEFORE:
            return None
        if chance in {Chance.TIME_OUT, Chance.FAIL}:
            return self.model.settle(ask, "timeout" if chance is Chance.TIME_OUT else "error", attempt)
        if isinstance(ask, ValidatePayment):
            found = _charge(order, is_approved=_is_approved(ask))
            found = "error" if chance is Chance.LOSE_REPLY else found
        else:
            order.gateway = order.gateway if order.captures else "closed"
            found = "captured" if order.gateway == "captured" else "closed"
        if chance is Chance.CRASH_AFTER:
            return None
        return STALE if found == "refused" else self.model.settle(ask, found, attempt)

    def require_order(self, ask: StepAsk, run: Run) -> None:
        """Every answer but `taken` carries the order as the ledger has it."""
        if run.answer is None:
            return
        assert (run.answer.order is None) is (run.reply == TAKEN)
        if (found := run.answer.order) is not None:
            order = self.model.orders[ask.step.order_id]
            assert (found.step, found.status, found.version) == (order.step, order.status, order.version)
            assert (set(found.seats), found.total_cents) == (set(order.prices), order.total)
            assert found.payment == order.payment.replace("none", "open")
            assert found.payment_attempts == len(order.verdicts)

    # -- Events between steps -----------------------------------------------------------------------------------------

    def let_time_pass(self, draw: Draw) -> None:
        order, left = self.some_order(draw, "SEATS_RESERVED"), draw(st.sampled_from([Left.LITTLE, Left.NONE]))
        self.run(self.world.move_deadline(order.id, LATE[left]))
        order.left = left

    def capture_late(self, draw: Draw) -> None:
        order_id, is_approved = draw(st.sampled_from(self.unanswered))
        self.run(self.world.charge_late(order_id, APPROVED if is_approved else ALWAYS_DECLINED))
        _charge(self.model.orders[order_id], is_approved=is_approved)

    def rob(self, draw: Draw) -> None:
        orders = {owner: self.model.orders[owner] for owner in self.model.owner.values()}
        victims = [order.id for order in orders.values() if _is_about_to_be_confirmed(order)]
        victims = victims or [order.id for order in orders.values() if order.status in HOLDING]
        held = [seat for seat, owner in self.model.owner.items() if owner in victims]
        if held:
            seat = draw(st.sampled_from(sorted(held)))
            self.run(self.world.rob(seat))
            del self.model.owner[seat]

    def change_the_price(self, draw: Draw) -> None:
        seat, cents = draw(st.sampled_from(SEATS)), draw(st.integers(1, 999))
        self.run(self.world.reprice(seat, cents))
        self.model.price[seat] = cents

    def be_wiped(self, draw: Draw) -> None:
        """Wipe Redis, or add wrong locks: of an order that does not exist, or missing for one that has ended."""
        seats = draw(st.sampled_from([(), SEATS[:2], SEATS]))
        self.run(self.world.wipe_locks(lies=seats))
        if ended := [order for order in self.model.orders.values() if order.status in {"FAILED", "EXPIRED"}]:
            order = draw(st.sampled_from(ended))
            self.run(self.world.desk.run(ReleaseSeats(order.id, self.world.flight, tuple(order.prices))))

    # -- Invariants ---------------------------------------------------------------------------------------------------

    def some_order(self, draw: Draw, *statuses: str) -> ModelOrder:
        orders = [order for order in self.model.orders.values() if not statuses or order.status in statuses]
        return draw(st.sampled_from(orders))

    def model_seats(self) -> dict[str, tuple[str, str | None]]:
        def state(seat: str) -> tuple[str, str | None]:
            owner = self.model.owner.get(seat)
            if owner is None:
                return ("blocked" if seat in BLOCKED else "available", None)
            return ("booked" if self.model.orders[owner].status == "CONFIRMED" else "reserved", owner)

        return {seat: state(seat) for seat in (*SEATS, *BLOCKED)}

    @invariant()
    def the_ledger_is_the_models(self) -> None:
        seats = self.run(self.world.seats())
        assert seats == self.model_seats(), seats
        rows = {row.pop("id"): row for row in self.run(self.world.orders())}
        assert set(rows) == set(self.model.orders)
        for order in self.model.orders.values():
            left = rows[order.id].pop("left_seconds")
            assert rows[order.id] == row_of(order), f"{rows[order.id]}, not {row_of(order)}"
            if order.status in HOLDING:
                assert LATE[order.left] - 90 < left <= LATE[order.left]

    @invariant()
    def the_audit_finds_nothing_but_robbery(self) -> None:
        found = self.run(self.world.findings())
        robbed = self.model.robbed()
        self.seen["robbed"] += len(robbed)
        assert [(what, order_id) for what, order_id, _ in found] == [("I1 orders", it) for it in sorted(robbed)], found


def _is_about_to_be_confirmed(order: ModelOrder) -> bool:
    return (order.status, order.payment) == ("PAYMENT_PROCESSING", "captured")


def _is_approved(ask: StepAsk) -> bool:
    return isinstance(ask, ValidatePayment) and ask.code == APPROVED


def _is_extension(ask: StepAsk, run: Run, versions_before: dict[str, int]) -> bool:
    answer = run.answer
    is_granted_change = isinstance(ask, UpdateSeatSelection) and run.reply == DONE
    is_same_version = (
        answer is not None
        and answer.order is not None
        and (answer.order.version == versions_before.get(answer.order.id))
    )
    return is_granted_change and is_same_version


def _charge(order: ModelOrder, *, is_approved: bool) -> str:
    """Charge at the model's gateway, and return its verdict, or that it refuses because the key is closed."""
    if order.gateway == "none":
        order.gateway = "captured" if is_approved else "declined"
    return {"captured": "approved", "declined": "declined"}.get(order.gateway, "refused")
