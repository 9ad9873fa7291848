"""The ledger judges by PostgreSQL's clock, at the prices of the claims, once for each step, and never out of order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from skyhold.domain.errors import SkyholdError
from skyhold.domain.orders import FailureCode, Order, OrderStatus, Policy
from skyhold.domain.payments import PaymentVerdict
from skyhold.messages import Answer, ClosePayment, ConfirmOrder, ExpireOrder, Outcome, RefreshSeatLocks, ValidatePayment
from skyhold.postgresql.pools import Pool
from skyhold.stores.ledger import Ledger
from skyhold.stores.payments import PaymentStore
from support.activity_runner import ANY_CODE, ActivityRunner, StepAsk, a_flight, change, fail, next_step, reserve
from support.bookings import until


@pytest.fixture
def payments(shared_pool: Pool) -> PaymentStore:
    return PaymentStore(Ledger(shared_pool), shared_pool)


def with_policy(desk: ActivityRunner, **policy: float) -> ActivityRunner:
    return replace(desk, policy=Policy(**policy))  # type: ignore[arg-type]


def error_of(answer: Answer) -> str:
    assert answer.outcome is Outcome.REFUSED
    assert answer.refusal is not None
    return answer.refusal.to_error().code


async def now(desk: ActivityRunner) -> datetime:
    instant: datetime = await desk.pool.fetchval("SELECT clock_timestamp()")
    return instant


# -- Holds --------------------------------------------------------------------------------------------------------------


async def test_a_hold_has_its_seats_its_total_and_its_time(desk: ActivityRunner) -> None:
    flight = await a_flight(desk.pool, price_cents=35000)
    before = await now(desk)
    order = await desk.hold(flight, ["1B", "1A"])
    assert (order.status, order.seats, order.total_cents, order.currency) == (
        OrderStatus.SEATS_RESERVED,
        ("1A", "1B"),
        70000,
        "USD",
    )
    assert order.expires_at is not None
    assert order.max_expires_at is not None
    assert before + timedelta(minutes=15) <= order.expires_at <= await now(desk) + timedelta(minutes=15)
    assert order.max_expires_at - order.expires_at == timedelta(hours=3) - timedelta(minutes=15)
    assert 890 < order.left_seconds <= 900


@pytest.mark.parametrize(("days", "code"), [(-0.01, FailureCode.FLIGHT_DEPARTED), (None, FailureCode.FLIGHT_NOT_FOUND)])
async def test_a_first_hold_that_is_refused_leaves_a_failed_order_without_seats(
    desk: ActivityRunner, days: float | None, code: FailureCode
) -> None:
    flight = await a_flight(desk.pool, departs_in_days=days) if days else "00000000-0000-4000-8000-000000000000"
    answer = await desk.ask(reserve(flight, ["1A"]))
    assert error_of(answer) == code
    assert answer.order is not None
    assert (answer.order.status, answer.order.failure_code, answer.order.seats) == (OrderStatus.FAILED, code, ())


async def test_a_flight_id_that_no_flight_can_have_is_a_flight_that_is_not_found(desk: ActivityRunner) -> None:
    assert error_of(await desk.ask(reserve("FL101\x00", ["1A"]))) == "FLIGHT_NOT_FOUND"


async def test_a_hold_ends_at_departure_at_the_latest(desk: ActivityRunner) -> None:
    flight = await a_flight(desk.pool, departs_in_days=0.005)  # 7.2 minutes
    order = await desk.hold(flight, ["1A"])
    departs_at = await desk.pool.fetchval("SELECT departs_at FROM flights WHERE id = $1", flight)
    assert order.expires_at == order.max_expires_at == departs_at


async def test_a_change_keeps_the_prices_of_the_seats_it_keeps(desk: ActivityRunner) -> None:
    flight = await a_flight(desk.pool, price_cents=100)
    order = await desk.hold(flight, ["1A", "1B"])
    await desk.pool.execute("UPDATE seats SET price_cents = 999, version = version + 1 WHERE flight_id = $1", flight)
    order = await desk.do(change(order, ["1B", "1C"]))
    assert order.total_cents == 100 + 999
    order = await desk.do(change(order, ["1A", "1B"]))
    assert order.total_cents == 999 + 100, "a seat that was given up has no old price any more"


async def test_a_change_that_succeeds_restarts_the_time_and_no_other_does(desk: ActivityRunner) -> None:
    flight = await a_flight(desk.pool)
    await desk.hold(flight, ["1D"])
    order = await desk.hold(flight, ["1A"])
    await desk.pool.execute("UPDATE orders SET expires_at = expires_at - interval '10 minutes' WHERE id = $1", order.id)

    refused = await desk.ask(change(order, ["1A", "1D"]))
    assert error_of(refused) == "SEATS_UNAVAILABLE"
    assert refused.order is not None
    assert refused.order.left_seconds < 301
    assert (refused.order.changes, refused.order.version, refused.order.seats) == (0, 1, ("1A",))

    changed = await desk.do(change(refused.order, ["1B"]))
    assert changed.left_seconds > 890
    assert (changed.changes, changed.version) == (1, 2)
    assert changed.max_expires_at == order.max_expires_at


async def test_a_change_that_names_the_same_seats_extends_the_hold(desk: ActivityRunner) -> None:
    flight = await a_flight(desk.pool, price_cents=100)
    order = await desk.hold(flight, ["1A", "1B"])
    await desk.pool.execute("UPDATE seats SET price_cents = 999, version = version + 1 WHERE flight_id = $1", flight)
    await desk.pool.execute("UPDATE orders SET expires_at = expires_at - interval '10 minutes' WHERE id = $1", order.id)
    seats = await _seats(desk, order)
    extended = await desk.do(change(order, ["1B", "1A"], version=1, expected_total_cents=200))

    assert extended.left_seconds > 890
    assert (extended.changes, extended.version, extended.total_cents) == (1, 1, 200)
    assert extended.expires_at is not None
    assert await _seats(desk, order) == [
        (seat, version, extended.expires_at, cents) for seat, version, _, cents in seats
    ], "the seats are held as long, at the same version"
    logged = await desk.pool.fetch("SELECT * FROM order_events WHERE order_id = $1 ORDER BY seq", order.id)
    assert [(row["status"], row["version"], row["seats"]) for row in logged[-1:]] == [
        ("SEATS_RESERVED", 1, ["1A", "1B"])
    ]
    assert (logged[-1]["step"], logged[-1]["expires_at"]) == (extended.step, extended.expires_at)


async def test_extensions_count_as_changes_and_end_with_them(desk: ActivityRunner) -> None:
    flight = await a_flight(desk.pool)
    order = await with_policy(desk, max_changes=2).hold(flight, ["1A"])
    for _ in range(2):
        order = await desk.do(change(order, ["1A"]))
    assert error_of(await desk.ask(change(order, ["1A"]))) == "TOO_MANY_CHANGES"


async def test_an_extension_never_passes_the_longest_life_of_a_hold(desk: ActivityRunner) -> None:
    flight = await a_flight(desk.pool)
    order = await with_policy(desk, hold_seconds=60, max_lifetime_seconds=61).hold(flight, ["1A"])
    for _ in range(2):
        await desk.pool.execute(
            "UPDATE orders SET expires_at = expires_at - interval '30 s', max_expires_at = max_expires_at - interval '30 s' "
            "WHERE id = $1",
            order.id,
        )
        order = await desk.do(change(order, ["1A"]))
        assert order.expires_at == order.max_expires_at
    log = await desk.pool.fetch("SELECT expires_at FROM order_events WHERE order_id = $1 ORDER BY seq", order.id)
    assert log[-1]["expires_at"] == order.expires_at


async def test_a_lapsed_hold_is_not_extended(desk: ActivityRunner) -> None:
    order = await desk.hold(await a_flight(desk.pool), ["1A"])
    await desk.let_lapse(order)
    assert error_of(await desk.ask(change(order, ["1A"]))) == "ORDER_EXPIRED"


# -- Prices -------------------------------------------------------------------------------------------------------------


async def test_a_hold_at_the_expected_price_is_held_and_at_another_fails(desk: ActivityRunner) -> None:
    flight = await a_flight(desk.pool, price_cents=100)
    assert (await desk.hold(flight, ["1A"], expected_total_cents=100)).total_cents == 100

    answer = await desk.ask(reserve(flight, ["1B", "1C"], expected_total_cents=100))

    assert error_of(answer) == "PRICE_CHANGED"
    assert answer.refusal is not None
    assert answer.refusal.fields == {"totalPriceCents": 200, "currency": "USD"}
    assert answer.order is not None
    assert (answer.order.status, answer.order.failure_code, answer.order.seats) == (
        OrderStatus.FAILED,
        FailureCode.PRICE_CHANGED,
        (),
    )
    statuses = await desk.pool.fetch("SELECT status FROM seats WHERE flight_id = $1 AND seat_id <> '1A'", flight)
    assert {row["status"] for row in statuses} == {"available"}


async def test_a_change_at_another_price_than_expected_keeps_the_old_seats_and_their_time(desk: ActivityRunner) -> None:
    flight = await a_flight(desk.pool, price_cents=100)
    order = await desk.hold(flight, ["1A", "1B"])
    await desk.pool.execute("UPDATE seats SET price_cents = 150, version = version + 1 WHERE flight_id = $1", flight)
    answer = await desk.ask(change(order, ["1B", "1C"], expected_total_cents=200))

    assert error_of(answer) == "PRICE_CHANGED"
    assert answer.refusal is not None
    assert answer.refusal.fields == {"totalPriceCents": 250, "currency": "USD"}, "the seat that it keeps has its price"
    assert answer.order is not None
    assert (answer.order.seats, answer.order.version, answer.order.expires_at) == (
        order.seats,
        order.version,
        order.expires_at,
    )
    changed = await desk.do(change(answer.order, ["1B", "1C"], expected_total_cents=250))
    assert changed.total_cents == 250


async def test_a_taken_seat_is_named_before_its_price(desk: ActivityRunner) -> None:
    flight = await a_flight(desk.pool)
    await desk.hold(flight, ["1A"])
    assert error_of(await desk.ask(reserve(flight, ["1A"], expected_total_cents=1))) == "SEATS_UNAVAILABLE"


async def test_a_price_is_judged_after_the_wait_for_its_seat(desk: ActivityRunner) -> None:
    flight = await a_flight(desk.pool, price_cents=100)
    async with desk.pool.acquire() as connection, connection.transaction():
        await connection.execute(
            "UPDATE seats SET price_cents = 150, version = version + 1 WHERE flight_id = $1", flight
        )
        waiting = asyncio.create_task(desk.ask(reserve(flight, ["1A"], expected_total_cents=100)))
        await until(lambda: _waits(desk), what="the hold to wait for its seat")
    assert error_of(await waiting) == "PRICE_CHANGED"


async def _waits(desk: ActivityRunner) -> bool | None:
    waiting: bool | None = await desk.pool.fetchval(
        "SELECT true FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return waiting


async def _seats(desk: ActivityRunner, order: Order) -> list[tuple[str, int, datetime, int]]:
    rows = await desk.pool.fetch(
        "SELECT seat_id, version, held_until, price_cents FROM seats WHERE order_id = $1 ORDER BY seat_id", order.id
    )
    return [tuple(row) for row in rows]


async def test_a_lapsed_hold_is_not_changed_and_can_still_be_paid(desk: ActivityRunner) -> None:
    flight = await a_flight(desk.pool)
    order = await desk.hold(flight, ["1A"])
    await desk.let_lapse(order)
    refused = await desk.ask(change(order, ["1B"]))
    assert error_of(refused) == "ORDER_EXPIRED"
    assert refused.order is not None
    assert refused.order.seats == ("1A",)
    assert (await desk.pay(refused.order)).status is OrderStatus.CONFIRMED


async def test_the_changes_of_an_order_are_counted_and_end(desk: ActivityRunner) -> None:
    flight = await a_flight(desk.pool)
    order = await with_policy(desk, max_changes=1).hold(flight, ["1A"])
    order = await desk.do(change(order, ["1B"]))
    assert error_of(await desk.ask(change(order, ["1C"]))) == "TOO_MANY_CHANGES"


async def test_a_change_that_waited_for_a_seat_is_judged_by_the_time_after_the_wait(desk: ActivityRunner) -> None:
    flight = await a_flight(desk.pool)
    order = await desk.hold(flight, ["1A"])
    soon = (
        "UPDATE orders SET expires_at = clock_timestamp() + interval '1.5 seconds' WHERE id = $1 RETURNING expires_at"
    )
    expires_at = await desk.pool.fetchval(soon, order.id)
    answer = await _let_wait(
        desk,
        change(order, ["1B"]),
        "SELECT 1 FROM seats WHERE order_id = $1 FOR UPDATE",
        order.id,
        until_after=expires_at,
    )
    assert error_of(answer) == "ORDER_EXPIRED"


async def test_a_payment_that_waited_for_its_order_is_judged_by_the_time_after_the_wait(desk: ActivityRunner) -> None:
    order = await desk.hold(await a_flight(desk.pool), ["1A"])
    deadline = await now(desk) + timedelta(seconds=1.5)
    ask = RefreshSeatLocks(next_step(order), deadline=deadline)
    answer = await _let_wait(desk, ask, "SELECT 1 FROM orders WHERE id = $1 FOR UPDATE", order.id, until_after=deadline)
    assert error_of(answer) == "DEADLINE_EXCEEDED"


async def _let_wait(desk: ActivityRunner, ask: StepAsk, lock: str, order_id: str, *, until_after: datetime) -> Answer:
    """Start the activity in time, and let it wait for a row lock until it is late."""
    async with desk.pool.acquire() as rival, rival.transaction():
        await rival.execute(lock, order_id)
        waiting = asyncio.create_task(desk.ask(ask))
        await until(
            lambda: desk.pool.fetchval("SELECT clock_timestamp() > $1", until_after), what="the instant to pass"
        )
        assert not waiting.done()
    async with asyncio.timeout(10):
        return await waiting


# -- Commands after their deadline -------------------------------------------------------------------------------------


async def test_what_was_given_up_is_refused_and_a_hold_given_up_has_failed(desk: ActivityRunner) -> None:
    flight = await a_flight(desk.pool)
    past, future = await now(desk), await now(desk) + timedelta(minutes=1)

    answer = await desk.ask(reserve(flight, ["1A"], deadline=past))
    assert error_of(answer) == "DEADLINE_EXCEEDED"
    assert answer.order is not None
    assert (answer.order.status, answer.order.failure_code) == (OrderStatus.FAILED, FailureCode.INTERNAL)

    order = await desk.hold(flight, ["1A"], deadline=future)
    for ask in (
        lambda order: change(order, ["1B"], deadline=past),
        lambda order: RefreshSeatLocks(next_step(order), deadline=past),
    ):
        answer = await desk.ask(ask(order))
        assert error_of(answer) == "DEADLINE_EXCEEDED"
        assert answer.order is not None
        assert (answer.order.status, answer.order.seats) == (OrderStatus.SEATS_RESERVED, ("1A",))
        order = answer.order


# -- Steps ---------------------------------------------------------------------------------------------------------------


async def test_a_refusal_is_the_answer_of_its_step_whatever_became_possible_since(desk: ActivityRunner) -> None:
    flight = await a_flight(desk.pool)
    other, order = await desk.hold(flight, ["1B"]), await desk.hold(flight, ["1A"])
    ask = change(order, ["1B"])
    first = await desk.ask(ask)
    await desk.do(fail(other))
    again = await desk.ask(ask)
    assert again.refusal == first.refusal
    assert again.order is not None
    assert (await desk.do(change(again.order, ["1B"]))).seats == ("1B",), "the next step is judged by itself"


async def test_another_command_under_the_number_of_a_step_is_stale(desk: ActivityRunner) -> None:
    flight = await a_flight(desk.pool)
    order = await desk.hold(flight, ["1A"])
    await desk.do(change(order, ["1B"]))
    for ask in (change(order, ["1C"]), fail(order), RefreshSeatLocks(next_step(order)), ExpireOrder(next_step(order))):
        assert (await desk.ask(ask)).outcome is Outcome.STALE


async def test_an_order_that_is_being_paid_listens_to_no_command_of_a_held_one(desk: ActivityRunner) -> None:
    flight = await a_flight(desk.pool)
    order = await desk.begin_payment(await desk.hold(flight, ["1A"]))
    for ask in (change(order, ["1B"]), RefreshSeatLocks(next_step(order)), ExpireOrder(next_step(order))):
        assert (await desk.ask(ask)).outcome is Outcome.STALE


async def test_an_order_with_time_left_stays_and_says_how_much(desk: ActivityRunner) -> None:
    order = await desk.hold(await a_flight(desk.pool), ["1A"])
    answer = await desk.ask(ExpireOrder(next_step(order)))
    assert answer.outcome is Outcome.DONE
    assert answer.order is not None
    assert answer.order.status is OrderStatus.SEATS_RESERVED
    assert 890 < answer.order.left_seconds < order.left_seconds


async def test_a_late_twin_of_an_expiry_that_found_time_left_expires_nothing(desk: ActivityRunner) -> None:
    order = await desk.hold(await a_flight(desk.pool), ["1A"])
    ask = ExpireOrder(next_step(order))
    told = await desk.do(ask)
    await desk.pool.execute("UPDATE orders SET expires_at = clock_timestamp() WHERE id = $1", order.id)

    assert (await desk.do(ask)).status is OrderStatus.SEATS_RESERVED
    assert (await desk.do(RefreshSeatLocks(next_step(told)))).status.is_paying, "a payment in time is taken"


async def test_a_payment_that_waits_beyond_its_callers_patience_is_given_up(desk: ActivityRunner) -> None:
    flight = await a_flight(desk.pool)
    order = await desk.hold(flight, ["1A"])
    deadline = await desk.pool.fetchval("SELECT clock_timestamp() + interval '0.5 s'")
    async with desk.pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT 1 FROM seats WHERE flight_id = $1 FOR UPDATE", flight)
        paying = asyncio.create_task(desk.ask(RefreshSeatLocks(next_step(order), deadline=deadline)))
        await connection.execute("SELECT pg_sleep(1)")

    assert error_of(await paying) == "DEADLINE_EXCEEDED"


async def test_a_seat_that_was_lost_can_be_chosen_again_and_leaves_no_trace_in_the_total(desk: ActivityRunner) -> None:
    flight = await a_flight(desk.pool)
    for wanted in (["1A", "1B"], ["1C"]):
        order = await desk.hold(flight, ["1A", "1B"])
        await desk.pool.execute(
            """UPDATE seats SET status = 'available', order_id = NULL, held_until = NULL, version = version + 1
               WHERE order_id = $1 AND seat_id = '1B'""",
            order.id,
        )
        changed = await desk.do(change(order, wanted))
        chosen = await desk.pool.fetch(
            "SELECT seat_id, price_cents FROM order_seats WHERE order_id = $1 ORDER BY 1", order.id
        )
        assert list(changed.seats) == wanted == [row["seat_id"] for row in chosen]
        assert changed.total_cents == sum(row["price_cents"] for row in chosen)
        await desk.do(fail(changed))


async def test_the_hold_of_an_order_that_pays_is_never_shortened(desk: ActivityRunner) -> None:
    order = await desk.hold(await a_flight(desk.pool), ["1A"])
    until = "SELECT max(held_until) FROM seats WHERE order_id = $1"
    before = await desk.pool.fetchval(until, order.id)
    await desk.begin_payment(order)

    assert await desk.pool.fetchval(until, order.id) >= before


async def test_a_policy_of_a_newer_version_is_read(desk: ActivityRunner) -> None:
    order = await desk.hold(await a_flight(desk.pool), ["1A"])
    await desk.pool.execute("""UPDATE orders SET policy = policy || '{"not_known_yet": 1}' WHERE id = $1""", order.id)

    assert (await desk.do(change(order, ["1B"]))).policy == order.policy


async def test_a_payment_for_other_seats_is_refused(desk: ActivityRunner) -> None:
    order = await desk.hold(await a_flight(desk.pool), ["1A"])
    changed = await desk.do(change(order, ["1B"]))
    refused = await desk.ask(RefreshSeatLocks(next_step(changed), version=order.version))
    assert error_of(refused) == "ORDER_CHANGED"
    assert refused.order is not None
    assert (await desk.do(RefreshSeatLocks(next_step(refused.order), version=changed.version))).status.is_paying


# -- Payments ------------------------------------------------------------------------------------------------------------


async def _open(payments: PaymentStore, order: Order) -> ValidatePayment:
    ask = ValidatePayment(next_step(order), ANY_CODE)
    answer, charge = await payments.open_attempt(ask)
    assert charge is not None
    assert (charge.amount_cents, charge.currency, charge.attempt) == (order.total_cents, "USD", 1)
    assert answer.order is not None
    assert answer.order.status is OrderStatus.PAYMENT_PROCESSING
    return ask


async def test_of_two_runs_of_one_attempt_one_verdict_is_counted(desk: ActivityRunner, payments: PaymentStore) -> None:
    order = await desk.begin_payment(await desk.hold(await a_flight(desk.pool), ["1A"]))
    ask = await _open(payments, order)
    for _ in range(2):
        answer = await payments.record_verdict(ask, 1, PaymentVerdict.TIMEOUT)
        assert answer.outcome is Outcome.OPEN
        assert answer.order is not None
        assert answer.order.payment_attempts == 1
    answer = await payments.record_verdict(ask, 1, PaymentVerdict.APPROVED)
    assert answer.outcome is Outcome.DONE, "a capture that a run found is one, counted or not"


@pytest.mark.parametrize("verdict", PaymentVerdict)
async def test_a_verdict_of_a_step_that_was_never_opened_changes_nothing(
    desk: ActivityRunner, payments: PaymentStore, verdict: PaymentVerdict
) -> None:
    order = await desk.capture(await desk.begin_payment(await desk.hold(await a_flight(desk.pool), ["1A"])))
    answer = await payments.record_verdict(ValidatePayment(next_step(order), ANY_CODE), 1, verdict)
    assert answer.outcome is Outcome.STALE
    assert answer.order == replace(order, left_seconds=answer.order.left_seconds if answer.order else 0)


async def test_a_closing_that_was_never_opened_changes_nothing(desk: ActivityRunner, payments: PaymentStore) -> None:
    order = await desk.begin_payment(await desk.hold(await a_flight(desk.pool), ["1A"]))
    answer = await payments.record_close(ClosePayment(next_step(order)), is_captured=False)
    assert answer.outcome is Outcome.STALE
    assert answer.order is not None
    assert answer.order.payment == "open"


async def test_an_order_is_not_confirmed_without_its_capture(desk: ActivityRunner, payments: PaymentStore) -> None:
    order = await desk.begin_payment(await desk.hold(await a_flight(desk.pool), ["1A"]))
    ask = await _open(payments, order)
    await _is_broken(desk, order, lambda: desk.ask(ConfirmOrder(replace(ask.step, number=ask.step.number + 1))))


async def test_an_order_that_is_being_paid_does_not_fail_while_a_charge_could_still_come(desk: ActivityRunner) -> None:
    order = await desk.begin_payment(await desk.hold(await a_flight(desk.pool), ["1A"]))
    await _is_broken(desk, order, lambda: desk.ask(fail(order)))


async def test_a_capture_that_nobody_asked_for_is_not_believed(desk: ActivityRunner, payments: PaymentStore) -> None:
    order = await desk.begin_payment(await desk.hold(await a_flight(desk.pool), ["1A"]))
    ask = ClosePayment(next_step(order))
    await payments.open_close(ask)
    await _is_broken(desk, order, lambda: payments.record_close(ask, is_captured=True))


async def _is_broken(desk: ActivityRunner, order: Order, run: Callable[[], Awaitable[object]]) -> None:
    """Check that a failure is not a refusal: it is not stored as the step's answer, and nothing changes."""
    before = await desk.pool.fetchrow("SELECT * FROM orders WHERE id = $1", order.id)
    with pytest.raises(RuntimeError) as fault:
        await run()
    assert not isinstance(fault.value, SkyholdError)
    assert await desk.pool.fetchrow("SELECT * FROM orders WHERE id = $1", order.id) == before
