"""Orders: created through the booking client; listed and read from PostgreSQL only."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from skyhold.domain.errors import (
    DeadlineExceeded,
    FlightDeparted,
    FlightNotFound,
    HoldExpired,
    HoldLimit,
    InvalidSeats,
    OrderChanged,
    OrderClosed,
    OrderIdTaken,
    OrderNotFound,
    PriceChanged,
    SeatsUnavailable,
    WorkflowUnavailable,
)
from skyhold.domain.flights import canonical_flight_id
from skyhold.domain.orders import is_order_id
from skyhold.domain.requests import HoldRequest
from skyhold.domain.seats import keys_of
from skyhold.messages import workflow_id_of
from skyhold.queries.orders import OrderAccess, OrderView
from skyhold.queries.sales import SaleSnapshot
from skyhold.web.api.bodies import JsonRoute
from skyhold.web.api.cursors import PAGE_UNLESS_SAID, Cursor, PageLimit, bad_cursor, read_cursor, write_cursor
from skyhold.web.api.gate import CommandGate, OpenHold, SeatRequest, UsedGate
from skyhold.web.api.preconditions import tag_of
from skyhold.web.api.services import Services, UsedServices
from skyhold.web.clocks import LedgerClock
from skyhold.web.contract.document import problems
from skyhold.web.errors import IdempotencyKeyReused, OutcomeUnknown
from skyhold.web.idempotency import NOBODY, CommandIds, IdempotencyKey
from skyhold.web.identity import Caller, Guest, UsedCaller, remember_guest
from skyhold.web.schemas import (
    CreateOrderRequest,
    HeldOrderBody,
    HistoryBody,
    OrderBody,
    OrdersBody,
    OrderStatusBody,
)

router = APIRouter(prefix="/api/orders", tags=["orders"], route_class=JsonRoute)

_CREATE = ("POST", "/api/orders")


@router.post(
    "",
    operation_id="createOrder",
    status_code=201,
    responses=problems(
        *(InvalidSeats, FlightNotFound, SeatsUnavailable, PriceChanged, FlightDeparted, HoldLimit, HoldExpired),
        *(OrderClosed, OrderChanged, OrderIdTaken, DeadlineExceeded, IdempotencyKeyReused, WorkflowUnavailable),
    ),
)
async def create_order(
    *,
    body: CreateOrderRequest,
    gate: UsedGate,
    request: Request,
    response: Response,
    key: IdempotencyKey = None,
) -> HeldOrderBody:
    """Hold seats for a new order; the reply is sent when they are held."""
    opened, found = await _open_hold(gate, body, key, request, response)
    hold = opened.command
    token = gate.caller.identities.token_of(hold.order_id)
    seats = SeatRequest(hold.order_id, hold.seats, hold.expected_total_cents, gate.services.policy.max_seats)
    turn = gate.turn(seats, found, lambda: _look(gate, hold), added=keys_of(hold.flight_id, hold.seats))
    try:
        async with gate.alternatives(hold.flight_id, hold.seats):
            reply = await gate.send(opened, turn)
    except OutcomeUnknown as unknown:
        # The seats may be held, so the client must be able to read the order.
        raise OutcomeUnknown(hold.order_id, order_token=token, headers=response.headers) from unknown
    response.headers["Location"] = f"{request.app.state.prefix}/api/orders/{hold.order_id}"
    response.headers["ETag"] = tag_of(reply.version)
    workflow_id = workflow_id_of(hold.order_id)
    return HeldOrderBody.of(reply, workflow_id=workflow_id, order_token=token, server_time=opened.clock.now())


async def _open_hold(
    gate: CommandGate, body: CreateOrderRequest, key: str | None, request: Request, response: Response
) -> tuple[OpenHold, SaleSnapshot]:
    """Find the ids and the guest of a new order, and read its flight and seats.

    Raises:
        FlightNotFound: there is no such flight.
        IdempotencyKeyReused: the key was used for another request.
        DatabaseUnavailable: PostgreSQL does not answer in time.
    """
    flight_id = canonical_flight_id(body.flight_id)
    if flight_id is None:
        raise FlightNotFound
    fresh = gate.services.idempotency_keys.fresh_ids(key, _scope(gate.caller.guest))
    hold = HoldRequest(fresh.order_id, flight_id, body.seats, expected_total_cents=body.expected_total_cents)
    async with gate.deadline.precheck():
        ids, guest = await _settle(gate, key, hold, fresh)
        hold = replace(hold, order_id=ids.order_id, guest_hash=guest.hash)
        found = await _look(gate, hold)
        clock = LedgerClock(found.now)
        await remember_guest(request, response, gate.caller, guest)
    if found.departs_at is None:
        raise FlightNotFound
    # A booking knows its hold by another name than that of an update.
    return OpenHold(hold, replace(ids, update_id=None), OrderAccess(guest.hash), clock, found.departs_at), found


async def _look(gate: CommandGate, hold: HoldRequest) -> SaleSnapshot:
    return await gate.services.sales.snapshot(hold.order_id, hold.flight_id, hold.seats)


async def _settle(gate: CommandGate, key: str | None, hold: HoldRequest, fresh: CommandIds) -> tuple[CommandIds, Guest]:
    """Return the ids of a new order and its guest; an unknown caller becomes a guest derived from the order's id.

    The guest is not derived from the idempotency key, which is not a secret: its finder would become that guest.
    """
    keys, known = gate.services.idempotency_keys, gate.caller.guest
    ids = await keys.settle(key, _scope(known), _CREATE, hold, fresh=fresh)
    guest = known or gate.caller.identities.new_guest(ids.order_id)
    if not known:
        # After the reply the client has a cookie and may retry with it, so the key is stored for the guest too.
        await keys.settle(key, guest.hash, _CREATE, hold, fresh=ids)
    return ids, guest


def _scope(guest: Guest | None) -> str:
    return guest.hash if guest else NOBODY


@router.get("", operation_id="listOrders")
async def list_orders(
    services: UsedServices, caller: UsedCaller, limit: PageLimit = PAGE_UNLESS_SAID, cursor: Cursor = None
) -> OrdersBody:
    """List the guest's own orders, newest first; a caller without a cookie has none."""
    if caller.guest is None:
        if cursor is not None:
            raise bad_cursor()
        return OrdersBody(orders=[])
    of_guest = ("orders", caller.guest.hash)
    after = None if cursor is None else read_cursor(cursor, of_guest, is_id=is_order_id)
    page = await services.orders.list_of_guest(caller.guest.hash, limit=limit, after=after)
    next_cursor = write_cursor(page.next, of_guest) if page.next else None
    return OrdersBody(orders=[OrderBody.of(order) for order in page.orders], next_cursor=next_cursor)


@router.get("/{orderId}", operation_id="getOrder", responses=problems(OrderNotFound))
async def get_order(
    order_id: Annotated[str, Path(alias="orderId")], services: UsedServices, caller: UsedCaller, response: Response
) -> OrderBody:
    """Return the whole order."""
    order = await _find(services, caller, order_id)
    response.headers["ETag"] = tag_of(order.version)
    return OrderBody.of(order)


@router.get("/{orderId}/status", operation_id="getOrderStatus", responses=problems(OrderNotFound))
async def get_order_status(
    order_id: Annotated[str, Path(alias="orderId")], services: UsedServices, caller: UsedCaller, response: Response
) -> OrderStatusBody:
    """Return the order's status."""
    order = await _find(services, caller, order_id)
    response.headers["ETag"] = tag_of(order.version)
    return OrderStatusBody.of(order)


@router.get("/{orderId}/history", operation_id="getOrderHistory", responses=problems(OrderNotFound))
async def get_order_history(
    order_id: Annotated[str, Path(alias="orderId")], services: UsedServices, caller: UsedCaller
) -> HistoryBody:
    """Return the order's event log."""
    events = await services.orders.list_events(order_id, caller.access_to(order_id)) if is_order_id(order_id) else None
    if events is None:
        raise OrderNotFound
    return HistoryBody.of(order_id, events)


async def _find(services: Services, caller: Caller, order_id: str) -> OrderView:
    order = await services.orders.find(order_id, caller.access_to(order_id)) if is_order_id(order_id) else None
    if order is None:
        raise OrderNotFound
    return order
