"""What a customer does with an order: changes its seats, pays, cancels. Sent through the booking client."""

from __future__ import annotations

import contextlib
from typing import Annotated

from fastapi import APIRouter, Path, Response

from skyhold.domain.errors import (
    GivenUp,
    HoldExpired,
    InvalidPaymentCode,
    InvalidSeats,
    OrderChanged,
    OrderClosed,
    OrderNotFound,
    PaymentInProgress,
    PriceChanged,
    SeatsUnavailable,
    TooManyChanges,
    WorkflowUnavailable,
)
from skyhold.domain.orders import refusal_when_closed
from skyhold.queries.orders import OrderLook
from skyhold.web.api.bodies import JsonRoute
from skyhold.web.api.gate import (
    SeatRequest,
    UsedTime,
    answer_once,
    look_at,
    look_back,
    told_alternatives,
    told_why,
)
from skyhold.web.api.preconditions import IfMatch, tag_of, wanted_version
from skyhold.web.api.services import UsedServices
from skyhold.web.clocks import LedgerClock
from skyhold.web.contract.document import problems
from skyhold.web.errors import IdempotencyKeyReused, PreconditionFailed
from skyhold.web.idempotency import IdempotencyKey, SettledCommand, UsedReplayMark
from skyhold.web.identity import UsedCaller
from skyhold.web.schemas import AcceptedPaymentBody, ChangedOrderBody, ChangeSeatsRequest, PayRequest, identity_of

router = APIRouter(prefix="/api/orders/{orderId}", tags=["orders"], route_class=JsonRoute)

_ANY_COMMAND = (
    *(OrderNotFound, HoldExpired, OrderClosed, OrderChanged, PaymentInProgress, GivenUp),
    *(PreconditionFailed, WorkflowUnavailable),
)
_CHANGE = (InvalidSeats, SeatsUnavailable, PriceChanged, TooManyChanges, IdempotencyKeyReused)


@router.put("/seats", operation_id="changeSeats", responses=problems(*_ANY_COMMAND, *_CHANGE))
async def change_seats(
    *,
    order_id: Annotated[str, Path(alias="orderId")],
    wish: ChangeSeatsRequest,
    services: UsedServices,
    time: UsedTime,
    mark: UsedReplayMark,
    caller: UsedCaller,
    response: Response,
    key: IdempotencyKey = None,
    if_match: IfMatch = None,
) -> ChangedOrderBody:
    """Give the order exactly these seats and its full time again, or change nothing.

    The seats that it has already only extend its time, which never passes `maxExpiresAt`: neither its version nor that
    of the seats changes.
    """
    address, body = f"/api/orders/{order_id}/seats", identity_of(wish)
    async with time.for_looking():
        look = await look_at(services, caller, order_id, wish.seats)
        clock = LedgerClock(look.now)
        named = await services.names.settle(key, look.guest_hash, "PUT", address, body=body, order_id=order_id)
    command = named or SettledCommand(order_id)
    version = wanted_version(if_match, seen=look.version)
    own = {seat.id: seat.price_cents for seat in look.seats if seat.order_id == order_id}
    added = [seat for seat in wish.seats if seat not in own]

    request = SeatRequest(order_id, wish.seats, wish.expected_total_cents, look.max_seats)

    async def look_again() -> None:
        now = await look_at(services, caller, order_id, wish.seats)
        request.precheck(now.seats, currency=now.currency)

    async with (
        told_alternatives(services, time, look.flight_id or "", wish.seats, own_prices=own),
        told_why(services, time, order_id, caller.claim(order_id)),
        contextlib.AsyncExitStack() as stack,
    ):
        if not command.is_retry and version in {None, look.version}:
            _refuse_out_of_place(look)
            request.precheck(look.seats, currency=look.currency)
            await stack.enter_async_context(services.claims.turn(look.flight_id or "", added, look_again))
        order = await answer_once(
            services,
            command,
            mark,
            lambda: services.bookings.update_seats(
                order_id,
                wish.seats,
                version=version,
                expected_total_cents=wish.expected_total_cents,
                give_up_at=time.give_up_at(clock),
                update_id=command.update_id,
            ),
        )
    response.headers["ETag"] = tag_of(order["version"])
    return ChangedOrderBody.model_validate(order | {"serverTime": clock.now()})


@router.post(
    "/pay",
    operation_id="payOrder",
    status_code=202,
    responses=problems(*_ANY_COMMAND, InvalidPaymentCode, IdempotencyKeyReused),
)
async def pay_order(
    *,
    order_id: Annotated[str, Path(alias="orderId")],
    wish: PayRequest,
    services: UsedServices,
    time: UsedTime,
    mark: UsedReplayMark,
    caller: UsedCaller,
    key: IdempotencyKey = None,
    if_match: IfMatch = None,
) -> AcceptedPaymentBody:
    """Have a payment accepted; its outcome is seen by the order's status or its events."""
    code, address = wish.payment_code.digits, f"/api/orders/{order_id}/pay"
    async with time.for_looking():
        look = await look_at(services, caller, order_id)
        clock = LedgerClock(look.now)
        named = await services.names.settle(
            key, look.guest_hash, "POST", address, body={"paymentCode": code}, order_id=order_id
        )
    command = named or SettledCommand(order_id)
    version = wanted_version(if_match, seen=look.version)
    async with told_why(services, time, order_id, caller.claim(order_id)):
        if not command.is_retry:
            _refuse_out_of_place(look)
        await answer_once(
            services,
            command,
            mark,
            lambda: services.bookings.pay(
                order_id,
                code,
                version=version,
                give_up_at=time.give_up_at(clock),
                update_id=command.update_id,
            ),
        )
    return AcceptedPaymentBody(order_id=order_id)


@router.delete("", operation_id="cancelOrder", status_code=204, responses=problems(*_ANY_COMMAND))
async def cancel_order(
    order_id: Annotated[str, Path(alias="orderId")],
    services: UsedServices,
    time: UsedTime,
    caller: UsedCaller,
    if_match: IfMatch = None,
) -> None:
    """Give the seats back; an order that is cancelled already stays so."""
    async with time.for_looking():
        look = await look_at(services, caller, order_id)
    clock = LedgerClock(look.now)
    if look.is_cancelled:
        return
    try:
        async with told_why(services, time, order_id, caller.claim(order_id)):
            version = wanted_version(if_match, seen=look.version)
            _refuse_out_of_place(look)
            await services.bookings.cancel(order_id, version=version, give_up_at=time.give_up_at(clock))
    except OrderClosed:
        # Closed since we looked: by another cancel, perhaps.
        ended = await look_back(services, time, order_id, caller.claim(order_id))
        if ended is None:
            raise OrderNotFound from None
        if not ended.is_cancelled:
            raise


def _refuse_out_of_place(look: OrderLook) -> None:
    """Refuse a command for an order that has ended, or is being paid: a message to Temporal would come to the same.

    Raises:
        HoldExpired: its time was up.
        OrderClosed: it has ended otherwise.
        PaymentInProgress: a payment is under way.
    """
    if look.status.is_terminal:
        raise refusal_when_closed(look.status)
    if look.status.is_paying:
        raise PaymentInProgress
