"""Orders: created, changed, paid, cancelled through the booking client; read from PostgreSQL alone."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated

import uuid_utils
from fastapi import APIRouter, Path, Response

from skyhold.domain.errors import FlightNotFound, OrderClosed, OrderNotFound, WorkflowUnavailable
from skyhold.domain.flights import canonical_flight_id
from skyhold.domain.orders import is_order_id, refusal_when_closed
from skyhold.messages import workflow_id_of
from skyhold.queries.orders import OrderLook, OrderView
from skyhold.web.bodies import JsonRoute
from skyhold.web.problems import PROBLEM_RESPONSES, OutcomeUnknown
from skyhold.web.schemas import (
    AcceptedPaymentBody,
    ChangedOrderBody,
    ChangeSeatsRequest,
    CreateOrderRequest,
    HeldOrderBody,
    HistoryBody,
    OrderBody,
    OrderStatusBody,
    PayRequest,
)
from skyhold.web.services import Services, UsedServices

router = APIRouter(prefix="/api/orders", tags=["orders"], responses=PROBLEM_RESPONSES, route_class=JsonRoute)


@dataclass(frozen=True)
class _LedgerClock:
    """PostgreSQL's clock, as it was read a moment ago and has gone on since."""

    read: datetime
    read_at: float = field(default_factory=time.monotonic)

    def now(self) -> datetime:
        return self.read + timedelta(seconds=time.monotonic() - self.read_at)


@router.post("", operation_id="createOrder", status_code=201)
async def create_order(wish: CreateOrderRequest, services: UsedServices, response: Response) -> HeldOrderBody:
    """Hold seats for a new order; the reply comes when they are held."""
    flight_id = canonical_flight_id(wish.flight_id)
    read = await services.flights.read_clock(flight_id) if flight_id else None
    if flight_id is None or read is None:
        raise FlightNotFound
    clock = _LedgerClock(read)
    order_id = str(uuid_utils.uuid7())
    with _unknown_without_reply(order_id):
        order = await services.bookings.hold(
            order_id, flight_id, wish.seats, give_up_at=read + services.command_timeout
        )
    response.headers["Location"] = f"/api/orders/{order_id}"
    return HeldOrderBody.model_validate(order | {"workflowId": workflow_id_of(order_id), "serverTime": clock.now()})


@router.put("/{orderId}/seats", operation_id="changeSeats")
async def change_seats(
    order_id: Annotated[str, Path(alias="orderId")], wish: ChangeSeatsRequest, services: UsedServices
) -> ChangedOrderBody:
    """Give the order exactly these seats and its full time again, or change nothing."""
    look = await _look(services, order_id)
    clock = _LedgerClock(look.now)
    async with _told_why(services, order_id):
        order = await services.bookings.update_seats(
            order_id, wish.seats, give_up_at=look.now + services.command_timeout
        )
    return ChangedOrderBody.model_validate(order | {"serverTime": clock.now()})


@router.post("/{orderId}/pay", operation_id="payOrder", status_code=202)
async def pay_order(
    order_id: Annotated[str, Path(alias="orderId")], wish: PayRequest, services: UsedServices
) -> AcceptedPaymentBody:
    """Have a payment accepted; its outcome is seen by the order's status."""
    look = await _look(services, order_id)
    async with _told_why(services, order_id):
        await services.bookings.pay(order_id, wish.payment_code.digits, give_up_at=look.now + services.command_timeout)
    return AcceptedPaymentBody(order_id=order_id)


@router.delete("/{orderId}", operation_id="cancelOrder", status_code=204)
async def cancel_order(order_id: Annotated[str, Path(alias="orderId")], services: UsedServices) -> None:
    """Give the seats back; an order that is cancelled already stays so."""
    look = await _look(services, order_id)
    if look.is_cancelled:
        return
    try:
        async with _told_why(services, order_id):
            await services.bookings.cancel(order_id, give_up_at=look.now + services.command_timeout)
    except OrderClosed:
        # Closed since we looked: by another cancel, perhaps.
        if not (await _look(services, order_id)).is_cancelled:
            raise


@router.get("/{orderId}", operation_id="getOrder")
async def get_order(order_id: Annotated[str, Path(alias="orderId")], services: UsedServices) -> OrderBody:
    """Show the whole order."""
    return OrderBody.of(await _find(services, order_id))


@router.get("/{orderId}/status", operation_id="getOrderStatus")
async def get_order_status(order_id: Annotated[str, Path(alias="orderId")], services: UsedServices) -> OrderStatusBody:
    """Show where the order stands."""
    return OrderStatusBody.of(await _find(services, order_id))


@router.get("/{orderId}/history", operation_id="getOrderHistory")
async def get_order_history(order_id: Annotated[str, Path(alias="orderId")], services: UsedServices) -> HistoryBody:
    """Show the way the order has taken, event by event."""
    events = await services.orders.list_events(order_id) if is_order_id(order_id) else None
    if events is None:
        raise OrderNotFound
    return HistoryBody.of(order_id, events)


async def _find(services: Services, order_id: str) -> OrderView:
    order = await services.orders.find(order_id) if is_order_id(order_id) else None
    if order is None:
        raise OrderNotFound
    return order


async def _look(services: Services, order_id: str) -> OrderLook:
    look = await services.orders.look(order_id) if is_order_id(order_id) else None
    if look is None:
        raise OrderNotFound
    return look


@contextlib.contextmanager
def _unknown_without_reply(order_id: str) -> Iterator[None]:
    """Tell the client which order it is whose command nobody answered."""
    try:
        yield
    except WorkflowUnavailable as error:
        raise OutcomeUnknown(order_id) from error


@contextlib.asynccontextmanager
async def _told_why(services: Services, order_id: str) -> AsyncIterator[None]:
    """Tell the client why a command comes too late: Temporal knows that a booking has ended, the ledger knows how."""
    try:
        with _unknown_without_reply(order_id):
            yield
    except OrderClosed as closed:
        look = await _look(services, order_id)
        if look.status.is_terminal:
            raise refusal_when_closed(look.status) from closed
        # A booking whose process is gone while its order is open: it is mended later, and until then nothing happens.
        raise OutcomeUnknown(order_id) from closed
