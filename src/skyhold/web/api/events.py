"""Live events: streams of the seats of a flight and of the status of an order."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Response

from skyhold.domain.errors import FlightNotFound, OrderNotFound
from skyhold.domain.flights import canonical_flight_id
from skyhold.domain.orders import is_order_id
from skyhold.queries.orders import OrderView
from skyhold.web.api.services import UsedServices
from skyhold.web.contract.document import problems
from skyhold.web.identity import UsedCaller
from skyhold.web.live.flights import FlightWatch
from skyhold.web.live.orders import OrderEvent
from skyhold.web.live.stream import MEDIA_TYPE, EventStream

router = APIRouter(prefix="/api")

LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID", description="The `id` of the last event that was received; browsers send it themselves."
    ),
]


async def watched_flight(services: UsedServices, flight_id: Annotated[str, Path(alias="flightId")]) -> FlightWatch:
    """Return the flight's watch, before the stream starts.

    Raises:
        FlightNotFound: there is no such flight.
    """
    canonical = canonical_flight_id(flight_id)
    if canonical is None:
        raise FlightNotFound
    return await services.live.flights.watch(canonical)


async def visible_order(
    services: UsedServices, caller: UsedCaller, order_id: Annotated[str, Path(alias="orderId")]
) -> OrderView:
    """Return the order if the caller may see it, before the stream starts.

    Raises:
        OrderNotFound: there is no such order for this caller.
    """
    order = await services.orders.find(order_id, caller.access_to(order_id)) if is_order_id(order_id) else None
    if order is None:
        raise OrderNotFound
    return order


_BEAT = 'event: beat\ndata: {"serverTime":"2026-03-01T12:00:00.000Z"}'
_BEATS = (
    "Every 15 seconds the stream sends a `beat` with `serverTime` and without an id. It is not a change. A stream "
    "without any event for 45 seconds is dead: reconnect."
)


def _streamed(description: str, *events: str) -> dict[int | str, dict[str, Any]]:
    example = "retry: 2000\n" + "".join(f"{event}\n\n" for event in (*events, _BEAT))
    content = {MEDIA_TYPE: {"schema": {"type": "string"}, "example": example}}
    return {200: {"description": f"{description} {_BEATS}", "content": content}}


@router.get(
    "/flights/{flightId}/events",
    operation_id="watchFlight",
    status_code=200,
    tags=["flights"],
    response_class=EventStream,
    responses=problems(FlightNotFound)
    | _streamed(
        "Server-sent events: `snapshot` with every seat, then `seats` with those that changed. Of two versions of a "
        "seat the higher one is current. With `Last-Event-ID` the stream begins with the seats that changed since that "
        "event, or with a snapshot if the event is unknown.",
        'event: snapshot\nid: 5f0c-1\ndata: {"seats":[{"id":"12A","status":"available","version":1,"priceCents":350}]}',
        'event: seats\nid: 5f0c-2\ndata: {"seats":[{"id":"12A","status":"reserved","version":2,"priceCents":350}]}',
    ),
)
async def watch_flight(
    services: UsedServices, watch: Annotated[FlightWatch, Depends(watched_flight)], last_event_id: LastEventId = None
) -> Response:
    """Stream the seats of a flight and every change of them."""
    return services.live.stream(partial(watch.join, last_event_id), watch.leave)


@router.get(
    "/orders/{orderId}/events",
    operation_id="followOrder",
    status_code=200,
    tags=["orders"],
    response_class=EventStream,
    responses=problems(OrderNotFound)
    | {204: {"description": "The order has ended and its last event was received already: do not reconnect."}}
    | _streamed(
        "Server-sent events: `order` with the body of the status, at once and at every change. The stream ends after a "
        "terminal status.",
        'event: order\nid: 9b1d\ndata: {"orderId":"…","status":"PAYMENT_PROCESSING","paymentAttempts":2,…}',
    ),
)
async def follow_order(
    services: UsedServices, order: Annotated[OrderView, Depends(visible_order)], last_event_id: LastEventId = None
) -> Response:
    """Stream the status of an order and every change of it."""
    if order.status.is_terminal and last_event_id == OrderEvent.of(order).id:
        return Response(status_code=204)
    orders = services.live.orders
    return services.live.stream(partial(orders.join, order), partial(orders.leave, order.id))
