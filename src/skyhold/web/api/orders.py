"""Orders: made, listed and shown. Made through the booking client; read from PostgreSQL alone."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Any

import uuid_utils
from fastapi import APIRouter, Path, Request, Response

from skyhold.domain.errors import (
    FlightDeparted,
    FlightNotFound,
    GivenUp,
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
from skyhold.domain.flights import canonical_flight_id, require_not_departed
from skyhold.domain.orders import is_order_id
from skyhold.messages import workflow_id_of
from skyhold.queries.orders import Claimant, OrderView
from skyhold.queries.sales import SaleLook
from skyhold.web.api.bodies import JsonRoute
from skyhold.web.api.cursors import PAGE_UNLESS_SAID, Cursor, PageLimit, bad_cursor, read_cursor, write_cursor
from skyhold.web.api.gate import SeatRequest, UsedTime, answer_once, told_alternatives, told_why
from skyhold.web.api.preconditions import tag_of
from skyhold.web.api.services import Services, UsedServices
from skyhold.web.clocks import LedgerClock
from skyhold.web.contract.document import problems
from skyhold.web.errors import IdempotencyKeyReused, OutcomeUnknown
from skyhold.web.idempotency import NOBODY, IdempotencyKey, SettledCommand, UsedReplayMark
from skyhold.web.identity import Caller, Guest, UsedCaller, remember_guest
from skyhold.web.schemas import (
    CreateOrderRequest,
    HeldOrderBody,
    HistoryBody,
    OrderBody,
    OrdersBody,
    OrderStatusBody,
    identity_of,
)

router = APIRouter(prefix="/api/orders", tags=["orders"], route_class=JsonRoute)


@router.post(
    "",
    operation_id="createOrder",
    status_code=201,
    responses=problems(
        *(InvalidSeats, FlightNotFound, SeatsUnavailable, PriceChanged, FlightDeparted, HoldLimit, HoldExpired),
        *(OrderClosed, OrderChanged, OrderIdTaken, GivenUp, IdempotencyKeyReused, WorkflowUnavailable),
    ),
)
async def create_order(
    *,
    wish: CreateOrderRequest,
    services: UsedServices,
    time: UsedTime,
    mark: UsedReplayMark,
    caller: UsedCaller,
    request: Request,
    response: Response,
    key: IdempotencyKey = None,
) -> HeldOrderBody:
    """Hold seats for a new order; the reply comes when they are held."""
    flight_id = canonical_flight_id(wish.flight_id)
    if flight_id is None:
        raise FlightNotFound
    async with time.for_looking():
        command, guest = await _settle(services, caller, key, {"flightId": flight_id} | identity_of(wish))
        order_id = command.order_id
        look = await services.sales.look(order_id, flight_id, wish.seats)
        await remember_guest(request, response, caller, guest)
    clock, token = LedgerClock(look.now), caller.identities.token_of(order_id)
    if look.departs_at is None:
        raise FlightNotFound
    try:
        async with (
            told_alternatives(services, time, flight_id, wish.seats),
            told_why(services, time, order_id, Claimant(guest.hash), hold=command, mark=mark),
            _turn(services, command, flight_id, wish, look),
        ):
            order = await answer_once(
                services,
                replace(command, update_id=None),
                mark,
                lambda: services.bookings.hold(
                    order_id,
                    flight_id,
                    wish.seats,
                    guest_hash=guest.hash,
                    expected_total_cents=wish.expected_total_cents,
                    give_up_at=time.give_up_at(clock),
                ),
            )
    except OutcomeUnknown as unknown:
        # The seats may be held: who asked must be able to look.
        raise OutcomeUnknown(order_id, order_token=token, headers=response.headers) from unknown
    response.headers.update(
        {"Location": f"{request.app.state.prefix}/api/orders/{order_id}", "ETag": tag_of(order["version"])}
    )
    more = {"workflowId": workflow_id_of(order_id), "orderToken": token, "serverTime": clock.now()}
    return HeldOrderBody.model_validate(order | more)


@contextlib.asynccontextmanager
async def _turn(
    services: Services, command: SettledCommand, flight_id: str, wish: CreateOrderRequest, look: SaleLook
) -> AsyncIterator[None]:
    """Refuse what PostgreSQL shows to be taken or to cost another sum, and wait while others claim these seats.

    Of a command that may have been granted before, the booking alone knows what came of it.
    """
    if command.is_retry or look.departs_at is None:
        yield
        return
    require_not_departed(look.departs_at, now=look.now)
    request = SeatRequest(command.order_id, wish.seats, wish.expected_total_cents, services.policy.max_seats)
    request.precheck(look.seats, currency=look.currency)

    async def look_again() -> None:
        now = await services.sales.look(command.order_id, flight_id, wish.seats)
        request.precheck(now.seats, currency=now.currency)

    async with services.claims.turn(flight_id, wish.seats, look_again):
        yield


async def _settle(
    services: Services, caller: Caller, key: str | None, body: dict[str, Any]
) -> tuple[SettledCommand, Guest]:
    """Return the ids of a new order and whose it is: a guest whom we do not know yet is made with the order.

    Not with the name of the request, which is no secret: whoever finds it later would be that guest.
    """
    names, request, known = services.names, ("POST", "/api/orders"), caller.guest
    named = await names.settle(key, known.hash if known else NOBODY, *request, body=body)
    command = named or SettledCommand(str(uuid_utils.uuid7()))
    guest = known or caller.identities.new_guest(command.order_id)
    if named and not known:
        # Having heard of it the client has a cookie, and may ask again with that.
        await names.settle(key, guest.hash, *request, body=body, order_id=command.order_id, update_id=command.update_id)
    return command, guest


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
    """Show the whole order."""
    order = await _find(services, caller, order_id)
    response.headers["ETag"] = tag_of(order.version)
    return OrderBody.of(order)


@router.get("/{orderId}/status", operation_id="getOrderStatus", responses=problems(OrderNotFound))
async def get_order_status(
    order_id: Annotated[str, Path(alias="orderId")], services: UsedServices, caller: UsedCaller, response: Response
) -> OrderStatusBody:
    """Show where the order stands."""
    order = await _find(services, caller, order_id)
    response.headers["ETag"] = tag_of(order.version)
    return OrderStatusBody.of(order)


@router.get("/{orderId}/history", operation_id="getOrderHistory", responses=problems(OrderNotFound))
async def get_order_history(
    order_id: Annotated[str, Path(alias="orderId")], services: UsedServices, caller: UsedCaller
) -> HistoryBody:
    """Show the way the order has taken, event by event."""
    events = await services.orders.list_events(order_id, caller.claim(order_id)) if is_order_id(order_id) else None
    if events is None:
        raise OrderNotFound
    return HistoryBody.of(order_id, events)


async def _find(services: Services, caller: Caller, order_id: str) -> OrderView:
    order = await services.orders.find(order_id, caller.claim(order_id)) if is_order_id(order_id) else None
    if order is None:
        raise OrderNotFound
    return order
