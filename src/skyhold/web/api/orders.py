"""Orders: created through the booking client; listed and read from PostgreSQL only."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Any

import uuid_utils
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
from skyhold.domain.flights import canonical_flight_id, require_not_departed
from skyhold.domain.orders import is_order_id
from skyhold.messages import workflow_id_of
from skyhold.queries.orders import OrderAccess, OrderView
from skyhold.queries.sales import SaleSnapshot
from skyhold.web.api.bodies import JsonRoute
from skyhold.web.api.cursors import PAGE_UNLESS_SAID, Cursor, PageLimit, bad_cursor, read_cursor, write_cursor
from skyhold.web.api.gate import SeatRequest, UsedDeadline, answer_once, attach_alternatives, translate_command_errors
from skyhold.web.api.preconditions import tag_of
from skyhold.web.api.services import Services, UsedServices
from skyhold.web.clocks import LedgerClock
from skyhold.web.contract.document import problems
from skyhold.web.errors import IdempotencyKeyReused, OutcomeUnknown
from skyhold.web.idempotency import NOBODY, IdempotencyKey, ResolvedCommand, UsedReplayMark
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
        *(OrderClosed, OrderChanged, OrderIdTaken, DeadlineExceeded, IdempotencyKeyReused, WorkflowUnavailable),
    ),
)
async def create_order(
    *,
    body: CreateOrderRequest,
    services: UsedServices,
    deadline: UsedDeadline,
    mark: UsedReplayMark,
    caller: UsedCaller,
    request: Request,
    response: Response,
    key: IdempotencyKey = None,
) -> HeldOrderBody:
    """Hold seats for a new order; the reply is sent when they are held."""
    flight_id = canonical_flight_id(body.flight_id)
    if flight_id is None:
        raise FlightNotFound
    async with deadline.precheck():
        command, guest = await _resolve_key(services, caller, key, {"flightId": flight_id} | identity_of(body))
        order_id = command.order_id
        snapshot = await services.sales.snapshot(order_id, flight_id, body.seats)
        await remember_guest(request, response, caller, guest)
    clock, token = LedgerClock(snapshot.now), caller.identities.token_of(order_id)
    if snapshot.departs_at is None:
        raise FlightNotFound
    try:
        async with (
            attach_alternatives(services, deadline, flight_id, body.seats),
            translate_command_errors(services, deadline, order_id, OrderAccess(guest.hash), hold=command, mark=mark),
            _wait_turn(services, command, flight_id, body, snapshot),
        ):
            order = await answer_once(
                services,
                replace(command, update_id=None),
                mark,
                lambda: services.bookings.hold(
                    order_id,
                    flight_id,
                    body.seats,
                    guest_hash=guest.hash,
                    expected_total_cents=body.expected_total_cents,
                    give_up_at=deadline.give_up_at(clock),
                ),
            )
    except OutcomeUnknown as unknown:
        # The seats may be held, so the client must be able to read the order.
        raise OutcomeUnknown(order_id, order_token=token, headers=response.headers) from unknown
    response.headers.update(
        {"Location": f"{request.app.state.prefix}/api/orders/{order_id}", "ETag": tag_of(order["version"])}
    )
    more = {"workflowId": workflow_id_of(order_id), "orderToken": token, "serverTime": clock.now()}
    return HeldOrderBody.model_validate(order | more)


@contextlib.asynccontextmanager
async def _wait_turn(
    services: Services, command: ResolvedCommand, flight_id: str, body: CreateOrderRequest, snapshot: SaleSnapshot
) -> AsyncIterator[None]:
    """Precheck the seats and their total in PostgreSQL, and wait while others claim the same seats.

    A retry skips both, because only the booking knows the outcome of the earlier request.
    """
    if command.is_retry or snapshot.departs_at is None:
        yield
        return
    require_not_departed(snapshot.departs_at, now=snapshot.now)
    request = SeatRequest(command.order_id, body.seats, body.expected_total_cents, services.policy.max_seats)
    request.precheck(snapshot.seats, currency=snapshot.currency)

    async def recheck() -> None:
        now = await services.sales.snapshot(command.order_id, flight_id, body.seats)
        request.precheck(now.seats, currency=now.currency)

    async with services.claims.wait_turn(flight_id, body.seats, recheck):
        yield


async def _resolve_key(
    services: Services, caller: Caller, key: str | None, identity: dict[str, Any]
) -> tuple[ResolvedCommand, Guest]:
    """Return the ids of a new order and its guest; an unknown caller becomes a guest derived from the order's id.

    The guest is not derived from the idempotency key, which is not a secret: its finder would become that guest.
    """
    keys, request, known = services.idempotency_keys, ("POST", "/api/orders"), caller.guest
    resolved = await keys.resolve(key, known.hash if known else NOBODY, *request, body=identity)
    command = resolved or ResolvedCommand(str(uuid_utils.uuid7()))
    guest = known or caller.identities.new_guest(command.order_id)
    if resolved and not known:
        # After the reply the client has a cookie and may retry with it, so the key is stored for the guest too.
        await keys.resolve(
            key, guest.hash, *request, body=identity, order_id=command.order_id, update_id=command.update_id
        )
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
