"""Cases: a prepared state for each activity, and fates: continuations of an order after it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from temporalio.exceptions import ApplicationError

from skyhold.domain.orders import FailureCode, Order, OrderStatus, Policy
from skyhold.domain.seats import keys_of
from skyhold.messages import ClosePayment, ConfirmOrder, ExpireOrder, RefreshSeatLocks, RefundPayment, ValidatePayment
from support.activity_runner import (
    ANY_CODE,
    APPROVED,
    DECLINED,
    ActivityRunner,
    Ask,
    change,
    fail,
    next_step,
    release,
    reserve,
)
from support.bookings import new_order_id
from support.gateways import Act, ScriptedGateway

# The hold is short enough that a payment's longer hold shows in the locks, and no end comes while a test runs.
POLICY = Policy(hold_seconds=60, payment_limit_seconds=10, payment_attempts=2)

Prepare = Callable[[ActivityRunner, str], Awaitable[Ask]]
FollowUp = Callable[[ActivityRunner, Order], Awaitable[Order]]


async def reserve_free_seats(_: ActivityRunner, flight: str) -> Ask:
    return reserve(flight, ["1A", "1B"], guest_hash=new_order_id())


async def reserve_a_taken_seat(desk: ActivityRunner, flight: str) -> Ask:
    await desk.hold(flight, ["1B"])
    return reserve(flight, ["1A", "1B"])


async def reserve_a_taken_seat_without_its_lock(desk: ActivityRunner, flight: str) -> Ask:
    await _hold_without_lock(desk, flight, "1B")
    return reserve(flight, ["1A", "1B"])


async def reserve_a_free_seat_with_a_strangers_lock(desk: ActivityRunner, flight: str) -> Ask:
    await desk.locks.acquire(keys_of(flight, ["1B"]), "stranger", POLICY.hold_time)
    return reserve(flight, ["1A", "1B"])


async def reserve_for_another_price(_: ActivityRunner, flight: str) -> Ask:
    return reserve(flight, ["1A", "1B"], expected_total_cents=1)


async def change_seats(desk: ActivityRunner, flight: str) -> Ask:
    return change(await desk.hold(flight, ["1A", "1B"]), ["1B", "1C"])


async def change_to_a_taken_seat(desk: ActivityRunner, flight: str) -> Ask:
    await desk.hold(flight, ["1D"])
    return change(await desk.hold(flight, ["1A", "1B"]), ["1B", "1C", "1D"])


async def change_to_a_taken_seat_without_its_lock(desk: ActivityRunner, flight: str) -> Ask:
    await _hold_without_lock(desk, flight, "1D")
    return change(await desk.hold(flight, ["1A", "1B"]), ["1B", "1C", "1D"])


async def change_to_a_free_seat_with_a_strangers_lock(desk: ActivityRunner, flight: str) -> Ask:
    await desk.locks.acquire(keys_of(flight, ["1C"]), "stranger", POLICY.hold_time)
    return change(await desk.hold(flight, ["1A", "1B"]), ["1B", "1C"])


async def change_for_another_price(desk: ActivityRunner, flight: str) -> Ask:
    return change(await desk.hold(flight, ["1A", "1B"]), ["1B", "1C"], expected_total_cents=1)


async def extend_a_hold(desk: ActivityRunner, flight: str) -> Ask:
    return change(await desk.hold(flight, ["1A", "1B"]), ["1A", "1B"], expected_total_cents=2 * 35000)


async def begin_payment(desk: ActivityRunner, flight: str) -> Ask:
    return RefreshSeatLocks(next_step(await desk.hold(flight, ["1A", "1B"])))


async def begin_payment_of_other_seats(desk: ActivityRunner, flight: str) -> Ask:
    return RefreshSeatLocks(next_step(await desk.hold(flight, ["1A", "1B"])), version=7)


async def ask_for_money(desk: ActivityRunner, flight: str) -> Ask:
    return ValidatePayment(next_step(await _pending(desk, flight)), APPROVED)


async def ask_for_money_and_be_declined(desk: ActivityRunner, flight: str) -> Ask:
    return ValidatePayment(next_step(await _pending(desk, flight)), DECLINED)


async def ask_for_money_in_vain(desk: ActivityRunner, flight: str) -> Ask:
    return ValidatePayment(next_step(await _pending(desk, flight)), ANY_CODE)


async def ask_again_for_what_was_captured_unheard(desk: ActivityRunner, flight: str) -> ValidatePayment:
    ask = ValidatePayment(next_step(await _pending(desk, flight)), ANY_CODE)
    deaf = replace(desk, gateway=ScriptedGateway(desk.pool, [Act.FAIL_AFTER_CAPTURE]))
    with pytest.raises(ApplicationError):
        await deaf.run(ask)
    return ask


async def close_what_was_never_asked_for(desk: ActivityRunner, flight: str) -> Ask:
    return ClosePayment(next_step(await _pending(desk, flight)))


async def close_what_was_captured(desk: ActivityRunner, flight: str) -> Ask:
    return ClosePayment(next_step(await _captured(desk, flight)))


async def close_what_was_captured_unheard(desk: ActivityRunner, flight: str) -> Ask:
    ask = await ask_again_for_what_was_captured_unheard(desk, flight)
    return ClosePayment(replace(ask.step, number=ask.step.number + 1))


async def confirm(desk: ActivityRunner, flight: str) -> Ask:
    return ConfirmOrder(next_step(await _captured(desk, flight)))


async def confirm_lost_seats(desk: ActivityRunner, flight: str) -> Ask:
    order = await _captured(desk, flight)
    await desk.pool.execute(
        """UPDATE seats SET status = 'available', order_id = NULL, held_until = NULL, version = version + 1
           WHERE flight_id = $1 AND seat_id = '1A'""",
        flight,
    )
    return ConfirmOrder(next_step(order))


async def fail_a_held_order(desk: ActivityRunner, flight: str) -> Ask:
    return fail(await desk.hold(flight, ["1A", "1B"]))


async def fail_a_paid_order(desk: ActivityRunner, flight: str) -> Ask:
    return fail(await _captured(desk, flight), FailureCode.SEATS_LOST)


async def expire_a_lapsed_order(desk: ActivityRunner, flight: str) -> Ask:
    order = await desk.hold(flight, ["1A", "1B"])
    await desk.let_lapse(order)
    return ExpireOrder(next_step(order))


async def expire_an_order_with_time_left(desk: ActivityRunner, flight: str) -> Ask:
    return ExpireOrder(next_step(await desk.hold(flight, ["1A", "1B"])))


async def release_locks(desk: ActivityRunner, flight: str) -> Ask:
    order = await desk.do(fail(await desk.hold(flight, ["1A", "1B"])))
    return release(order)


async def refund(desk: ActivityRunner, flight: str) -> Ask:
    order = await desk.do(fail(await _captured(desk, flight), FailureCode.SEATS_LOST))
    return RefundPayment(order.id)


async def _hold_without_lock(desk: ActivityRunner, flight: str, seat: str) -> None:
    """Let another order hold the seat without a lock, as after a wipe of Redis."""
    other = await desk.hold(flight, [seat])
    await desk.locks.release(keys_of(flight, [seat]), other.id)


async def _pending(desk: ActivityRunner, flight: str) -> Order:
    return await desk.begin_payment(await desk.hold(flight, ["1A", "1B"]))


async def _captured(desk: ActivityRunner, flight: str) -> Order:
    return await desk.capture(await _pending(desk, flight))


SITUATIONS: list[Prepare] = [
    reserve_free_seats,
    reserve_a_taken_seat,
    reserve_a_taken_seat_without_its_lock,
    reserve_a_free_seat_with_a_strangers_lock,
    reserve_for_another_price,
    change_seats,
    change_to_a_taken_seat,
    change_to_a_taken_seat_without_its_lock,
    change_to_a_free_seat_with_a_strangers_lock,
    change_for_another_price,
    extend_a_hold,
    begin_payment,
    begin_payment_of_other_seats,
    ask_for_money,
    ask_for_money_and_be_declined,
    ask_for_money_in_vain,
    ask_again_for_what_was_captured_unheard,
    close_what_was_never_asked_for,
    close_what_was_captured,
    close_what_was_captured_unheard,
    confirm,
    confirm_lost_seats,
    fail_a_held_order,
    fail_a_paid_order,
    expire_a_lapsed_order,
    expire_an_order_with_time_left,
    release_locks,
    refund,
]


async def move_elsewhere(desk: ActivityRunner, order: Order) -> Order:
    return await desk.do(change(order, ["1D"]))


async def let_expire(desk: ActivityRunner, order: Order) -> Order:
    await desk.let_lapse(order)
    order = await desk.do(ExpireOrder(next_step(order)))
    await desk.run(release(order))
    return order


async def end_as_failed(desk: ActivityRunner, order: Order) -> Order:
    if order.status.is_paying:
        order = await desk.do(ClosePayment(next_step(order)))
    order = await desk.do(fail(order, FailureCode.INTERNAL))
    await desk.run(RefundPayment(order.id))
    await desk.run(release(order))
    return order


async def take_the_money(desk: ActivityRunner, order: Order) -> Order:
    if order.status is OrderStatus.SEATS_RESERVED:
        order = await desk.begin_payment(order)
    return await desk.capture(order)


async def see_confirmed(desk: ActivityRunner, order: Order) -> Order:
    return await desk.confirm(
        order if order.status is OrderStatus.PAYMENT_PROCESSING else await take_the_money(desk, order)
    )


async def change_back(desk: ActivityRunner, order: Order) -> Order:
    return await desk.do(change(order, ["1A", "1B"]))


async def leave_alone(_: ActivityRunner, order: Order) -> Order:
    return order
