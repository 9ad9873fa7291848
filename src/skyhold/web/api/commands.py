"""Commands on an order: change its seats, pay, cancel. Sent through the booking client."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Collection
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
from skyhold.domain.requests import Cancellation, Payment, SeatChange
from skyhold.domain.seats import keys_of
from skyhold.web.api.bodies import JsonRoute
from skyhold.web.api.gate import CommandGate, OpenCommand, SeatRequest, UsedGate
from skyhold.web.api.preconditions import IfMatch, tag_of
from skyhold.web.contract.document import problems
from skyhold.web.errors import IdempotencyKeyReused, PreconditionFailed
from skyhold.web.idempotency import IdempotencyKey
from skyhold.web.schemas import AcceptedPaymentBody, ChangedOrderBody, ChangeSeatsRequest, PayRequest

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
    gate: UsedGate,
    response: Response,
    key: IdempotencyKey = None,
    if_match: IfMatch = None,
) -> ChangedOrderBody:
    """Replace the order's seats with exactly these and restart its hold time, or change nothing.

    Sending the seats that the order already has only extends its hold, never past `maxExpiresAt`: the versions of the
    order and its seats stay the same.
    """
    command = SeatChange(body.seats, expected_total_cents=body.expected_total_cents)
    opened = (await gate.open(order_id, command, key=key, wanted=body.seats)).matching(if_match)
    own = {seat.id: seat.price_cents for seat in opened.seen.seats if seat.order_id == order_id}
    async with gate.alternatives(opened.seen.flight_id or "", body.seats, own_prices=own):
        reply = await gate.send(opened, _turn(gate, opened, command, own))
    response.headers["ETag"] = tag_of(reply.version)
    return ChangedOrderBody.of(reply, server_time=opened.clock.now())


@contextlib.asynccontextmanager
async def _turn(
    gate: CommandGate, opened: OpenCommand, change: SeatChange, own: Collection[str]
) -> AsyncIterator[None]:
    """Precheck a change of the version that was read; about another version only the ledger decides."""
    if not opened.is_for_seen_version:
        yield
        return
    order_id, seen = opened.ids.order_id, opened.seen
    request = SeatRequest(order_id, change.seats, change.expected_total_cents, seen.max_seats)
    added = keys_of(seen.flight_id, (seat for seat in change.seats if seat not in own))
    async with gate.turn(request, seen, lambda: gate.read(order_id, change.seats), added=added):
        yield


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
    gate: UsedGate,
    key: IdempotencyKey = None,
    if_match: IfMatch = None,
) -> AcceptedPaymentBody:
    """Accept a payment; the order's status and events show its outcome."""
    opened = (await gate.open(order_id, Payment(body.payment_code), key=key)).matching(if_match)
    await gate.send(opened)
    return AcceptedPaymentBody(order_id=order_id)


@router.delete("", operation_id="cancelOrder", status_code=204, responses=problems(*_ANY_COMMAND))
async def cancel_order(
    order_id: Annotated[str, Path(alias="orderId")], gate: UsedGate, if_match: IfMatch = None
) -> None:
    """Cancel the order and release its seats; cancelling it again changes nothing."""
    opened = await gate.open(order_id, Cancellation())
    if opened.seen.is_cancelled:
        return
    try:
        await gate.send(opened.matching(if_match))
    except OrderClosed:
        # The order was closed after it was read, perhaps by another cancel.
        ended = await gate.read_after_failure(order_id, opened.access)
        if ended is None:
            raise OrderNotFound from None
        if not ended.is_cancelled:
            raise
