"""Suggested seats of a flight for people who want to sit together."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from skyhold.domain.alternatives import PARTY_LIMIT
from skyhold.domain.errors import FlightNotFound, InvalidSeats, OrderNotFound
from skyhold.domain.flights import canonical_flight_id
from skyhold.domain.orders import is_order_id
from skyhold.domain.seats import SeatStatus
from skyhold.web.api.seat_search import SeatsWanted
from skyhold.web.api.services import Services, UsedServices
from skyhold.web.contract.document import problems
from skyhold.web.contract.problem_bodies import AlternativeBody
from skyhold.web.errors import invalid_parameter
from skyhold.web.identity import Caller, UsedCaller
from skyhold.web.schemas import SEAT_PATTERN, Body

router = APIRouter(prefix="/api/flights", tags=["flights"])


class SuggestionsBody(Body):
    """Sets of seats that were free a moment ago, the best first."""

    currency: str
    suggestions: list[AlternativeBody]


class SeatPosition(StrEnum):
    """Where in its row a seat is."""

    WINDOW = "window"
    AISLE = "aisle"


_KINDS = {SeatPosition.WINDOW: "w", SeatPosition.AISLE: "a"}

Count = Annotated[int, Query(ge=1, le=PARTY_LIMIT, description="The number of people.", examples=[2])]
Near = Annotated[
    str | None,
    Query(
        pattern=SEAT_PATTERN,
        json_schema_extra={"description": "a row from 1 to 99 and a letter (A-H, J, K)"},
        description="A seat of the flight, free or not: seats of its price and closest to it come first.",
        examples=["12A"],
    ),
]
OfOrder = Annotated[
    str | None,
    Query(alias="order", description="An order of the caller: the seats that it holds count as free, at its prices."),
]
ExitRow = Annotated[bool, Query(alias="exitRow", description="Only seats in exit rows.")]
Prices = Annotated[list[int], Query(alias="priceCents", max_length=20, description="Only at one of these prices.")]
Positions = Annotated[list[SeatPosition], Query(alias="position", max_length=2, description="Only such seats.")]


@router.get(
    "/{flightId}/suggestions",
    operation_id="suggestSeats",
    responses=problems(FlightNotFound, InvalidSeats, OrderNotFound),
)
async def suggest_seats(
    services: UsedServices,
    caller: UsedCaller,
    response: Response,
    flight_id: Annotated[str, Path(alias="flightId")],
    *,
    count: Count,
    near: Near = None,
    order_id: OfOrder = None,
    exit_row: ExitRow = False,
    prices: Prices = [],  # noqa: B006 - FastAPI copies it
    positions: Positions = [],  # noqa: B006
) -> SuggestionsBody:
    """Suggest up to five sets of free seats, the best first; no seat is in two of them. Empty if there are none.

    A hint that may be a second old: only a hold decides. Without `near` the cheapest cabin comes first.
    """
    canonical = canonical_flight_id(flight_id)
    if canonical is None:
        raise FlightNotFound
    own = await _own_prices(services, caller, order_id, canonical) if order_id is not None else {}
    kinds = frozenset(_KINDS[position] for position in positions)
    wanted = SeatsWanted(count, near, exit_row, frozenset(prices), kinds)
    currency, found = await services.seat_search.suggestions(canonical, wanted, own)
    response.headers["Cache-Control"] = "no-store"
    return SuggestionsBody(currency=currency, suggestions=[AlternativeBody.of(each) for each in found])


async def _own_prices(services: Services, caller: Caller, order_id: str, flight_id: str) -> dict[str, int]:
    """Return the prices of the seats that the caller's order holds.

    Raises:
        OrderNotFound: there is no such order for this caller.
        InvalidRequest: the order is for another flight.
    """
    access = caller.access_to(order_id)
    seen = await services.orders.snapshot(order_id, access) if is_order_id(order_id) else None
    if seen is None:
        raise OrderNotFound
    if seen.flight_id != flight_id:
        raise invalid_parameter("query", "order", "must be an order of this flight")
    held = (seat for seat in seen.seats if seat.order_id == order_id and seat.status is SeatStatus.RESERVED)
    return {seat.id: seat.price_cents for seat in held}
