"""Flights: the list, and one flight with its seat map. Read from PostgreSQL only."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import BeforeValidator, WithJsonSchema

from skyhold.domain.errors import FlightNotFound
from skyhold.domain.flights import canonical_flight_id, is_flight_id
from skyhold.queries.flights import FlightFilter
from skyhold.web.api.cursors import PAGE_UNLESS_SAID, Cursor, PageLimit, read_cursor, write_cursor
from skyhold.web.api.flight_filters import AIRPORT_PATTERN, parse_day
from skyhold.web.api.services import Services, UsedServices
from skyhold.web.compression import Content
from skyhold.web.contract.document import problems
from skyhold.web.revalidation import AcceptEncoding, IfNoneMatch, fresh, is_known, not_modified, tag_of, written
from skyhold.web.schemas import FlightBody, FlightsBody, FlightWithSeatsBody

router = APIRouter(prefix="/api/flights", tags=["flights"])


_Day = Annotated[
    date,
    BeforeValidator(parse_day),
    WithJsonSchema({"type": "string", "format": "date", "examples": ["2026-11-24"]}),
]

Airport = Annotated[
    str | None,
    Query(
        pattern=f"^{AIRPORT_PATTERN}$",
        json_schema_extra={"description": "three letters"},
        description="Three letters, upper or lower case.",
        examples=["NYC"],
    ),
]
Day = Annotated[_Day | None, Query(alias="date", description="The day of departure, in the local time of the origin.")]


KEEPABLE: dict[int | str, dict[str, Any]] = {304: {"description": "The client's copy is still current."}}


@router.get("", operation_id="listFlights", response_model=FlightsBody, responses=KEEPABLE)
async def list_flights(
    services: UsedServices,
    *,
    origin: Airport = None,
    destination: Airport = None,
    day: Day = None,
    limit: PageLimit = PAGE_UNLESS_SAID,
    cursor: Cursor = None,
    if_none_match: IfNoneMatch = None,
    accept_encoding: AcceptEncoding = None,
) -> Response:
    """List the flights that have not departed, by departure time."""
    wanted = FlightFilter(origin.upper() if origin else None, destination.upper() if destination else None, day)
    after = None if cursor is None else read_cursor(cursor, wanted, is_id=is_flight_id)
    page = await services.flights.list_upcoming(wanted, limit=limit, after=after)
    tag = tag_of(page.digest)
    if is_known(tag, if_none_match):
        return not_modified(tag)
    subject = repr((wanted, limit, cursor))
    content = services.flight_list_cache.get(subject, tag)
    if content is None:
        next_cursor = write_cursor(page.next, wanted) if page.next else None
        flights = [FlightBody.of(flight) for flight in page.flights]
        content = written(FlightsBody(flights=flights, next_cursor=next_cursor))
        services.flight_list_cache.put(subject, tag, content)
    return fresh(tag, content, accept_encoding)


@router.get(
    "/{flightId}",
    operation_id="getFlight",
    response_model=FlightWithSeatsBody,
    responses=KEEPABLE | problems(FlightNotFound),
)
async def get_flight(
    services: UsedServices,
    flight_id: Annotated[str, Path(alias="flightId")],
    if_none_match: IfNoneMatch = None,
    accept_encoding: AcceptEncoding = None,
) -> Response:
    """Return one flight with every seat, also after its departure."""
    canonical = canonical_flight_id(flight_id)
    # Reading the digest costs a tenth of the whole reply, which is built once for each change of the flight.
    digest = await services.seat_maps.read_digest(canonical) if canonical else None
    if canonical is None or digest is None:
        raise FlightNotFound
    tag = tag_of(digest)
    if is_known(tag, if_none_match):
        return not_modified(tag)
    content = services.seat_map_cache.get(canonical, tag)
    if content is None:
        tag, content = await _write_seat_map(services, canonical)
    return fresh(tag, content, accept_encoding)


async def _write_seat_map(services: Services, flight_id: str) -> tuple[str, Content]:
    found = await services.seat_maps.find_flight(flight_id)
    if found is None:
        raise FlightNotFound
    tag, content = tag_of(found.digest), written(FlightWithSeatsBody.of_map(found))
    services.seat_map_cache.put(flight_id, tag, content)
    return tag, content
