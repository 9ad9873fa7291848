"""Commands on an order: change its seats, pay, cancel. Sent through the booking client."""

from __future__ import annotations

import contextlib
from typing import Annotated

from fastapi import APIRouter, Path, Response

from skyhold.domain.errors import (
    DeadlineExceeded,
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
from skyhold.queries.orders import OrderSnapshot
from skyhold.web.api.bodies import JsonRoute
from skyhold.web.api.gate import (
    SeatRequest,
    UsedDeadline,
    answer_once,
    attach_alternatives,
    read_after_failure,
    read_order,
    translate_command_errors,
)
from skyhold.web.api.preconditions import IfMatch, tag_of, wanted_version
from skyhold.web.api.services import UsedServices
from skyhold.web.clocks import LedgerClock
from skyhold.web.contract.document import problems
from skyhold.web.errors import IdempotencyKeyReused, PreconditionFailed
from skyhold.web.idempotency import IdempotencyKey, ResolvedCommand, UsedReplayMark
from skyhold.web.identity import UsedCaller
from skyhold.web.schemas import AcceptedPaymentBody, ChangedOrderBody, ChangeSeatsRequest, PayRequest, identity_of

router = APIRouter(prefix="/api/orders/{orderId}", tags=["orders"], route_class=JsonRoute)

_ANY_COMMAND = (
    *(OrderNotFound, HoldExpired, OrderClosed, OrderChanged, PaymentInProgress, DeadlineExceeded),
    *(PreconditionFailed, WorkflowUnavailable),
)
_CHANGE = (InvalidSeats, SeatsUnavailable, PriceChanged, TooManyChanges, IdempotencyKeyReused)


@router.put("/seats", operation_id="changeSeats", responses=problems(*_ANY_COMMAND, *_CHANGE))
async def change_seats(
    *,
    order_id: Annotated[str, Path(alias="orderId")],
    body: ChangeSeatsRequest,
    services: UsedServices,
    deadline: UsedDeadline,
    mark: UsedReplayMark,
    caller: UsedCaller,
    response: Response,
    key: IdempotencyKey = None,
    if_match: IfMatch = None,
) -> ChangedOrderBody:
    """Replace the order's seats with exactly these and restart its hold time, or change nothing.

    Sending the seats that the order already has only extends its hold, never past `maxExpiresAt`: the versions of the
    order and its seats stay the same.
    """
    address, identity = f"/api/orders/{order_id}/seats", identity_of(body)
    async with deadline.precheck():
        snapshot = await read_order(services, caller, order_id, body.seats)
        clock = LedgerClock(snapshot.now)
        resolved = await services.idempotency_keys.resolve(
            key, snapshot.guest_hash, "PUT", address, body=identity, order_id=order_id
        )
    command = resolved or ResolvedCommand(order_id)
    version = wanted_version(if_match, seen=snapshot.version)
    own = {seat.id: seat.price_cents for seat in snapshot.seats if seat.order_id == order_id}
    added = [seat for seat in body.seats if seat not in own]

    request = SeatRequest(order_id, body.seats, body.expected_total_cents, snapshot.max_seats)

    async def recheck() -> None:
        now = await read_order(services, caller, order_id, body.seats)
        request.precheck(now.seats, currency=now.currency)

    async with (
        attach_alternatives(services, deadline, snapshot.flight_id or "", body.seats, own_prices=own),
        translate_command_errors(services, deadline, order_id, caller.access_to(order_id)),
        contextlib.AsyncExitStack() as stack,
    ):
        if not command.is_retry and version in {None, snapshot.version}:
            _refuse_out_of_place(snapshot)
            request.precheck(snapshot.seats, currency=snapshot.currency)
            await stack.enter_async_context(services.claims.wait_turn(snapshot.flight_id or "", added, recheck))
        order = await answer_once(
            services,
            command,
            mark,
            lambda: services.bookings.update_seats(
                order_id,
                body.seats,
                version=version,
                expected_total_cents=body.expected_total_cents,
                give_up_at=deadline.give_up_at(clock),
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
    body: PayRequest,
    services: UsedServices,
    deadline: UsedDeadline,
    mark: UsedReplayMark,
    caller: UsedCaller,
    key: IdempotencyKey = None,
    if_match: IfMatch = None,
) -> AcceptedPaymentBody:
    """Accept a payment; the order's status and events show its outcome."""
    code, address = body.payment_code.digits, f"/api/orders/{order_id}/pay"
    async with deadline.precheck():
        snapshot = await read_order(services, caller, order_id)
        clock = LedgerClock(snapshot.now)
        resolved = await services.idempotency_keys.resolve(
            key, snapshot.guest_hash, "POST", address, body={"paymentCode": code}, order_id=order_id
        )
    command = resolved or ResolvedCommand(order_id)
    version = wanted_version(if_match, seen=snapshot.version)
    async with translate_command_errors(services, deadline, order_id, caller.access_to(order_id)):
        if not command.is_retry:
            _refuse_out_of_place(snapshot)
        await answer_once(
            services,
            command,
            mark,
            lambda: services.bookings.pay(
                order_id,
                code,
                version=version,
                give_up_at=deadline.give_up_at(clock),
                update_id=command.update_id,
            ),
        )
    return AcceptedPaymentBody(order_id=order_id)


@router.delete("", operation_id="cancelOrder", status_code=204, responses=problems(*_ANY_COMMAND))
async def cancel_order(
    order_id: Annotated[str, Path(alias="orderId")],
    services: UsedServices,
    deadline: UsedDeadline,
    caller: UsedCaller,
    if_match: IfMatch = None,
) -> None:
    """Cancel the order and release its seats; cancelling it again changes nothing."""
    async with deadline.precheck():
        snapshot = await read_order(services, caller, order_id)
    clock = LedgerClock(snapshot.now)
    if snapshot.is_cancelled:
        return
    try:
        async with translate_command_errors(services, deadline, order_id, caller.access_to(order_id)):
            version = wanted_version(if_match, seen=snapshot.version)
            _refuse_out_of_place(snapshot)
            await services.bookings.cancel(order_id, version=version, give_up_at=deadline.give_up_at(clock))
    except OrderClosed:
        # The order was closed after it was read, perhaps by another cancel.
        ended = await read_after_failure(services, deadline, order_id, caller.access_to(order_id))
        if ended is None:
            raise OrderNotFound from None
        if not ended.is_cancelled:
            raise


def _refuse_out_of_place(snapshot: OrderSnapshot) -> None:
    """Refuse a command for an order that has ended or is being paid, as its workflow would, without a message to it.

    Raises:
        HoldExpired: its hold has expired.
        OrderClosed: it has ended in another way.
        PaymentInProgress: a payment is in progress.
    """
    if snapshot.status.is_terminal:
        raise refusal_when_closed(snapshot.status)
    if snapshot.status.is_paying:
        raise PaymentInProgress
