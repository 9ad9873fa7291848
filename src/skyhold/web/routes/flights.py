"""Flights: listed, and one with its seat map. Read from PostgreSQL alone."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BeforeValidator, WithJsonSchema

from skyhold.domain.errors import FlightNotFound
from skyhold.domain.flights import canonical_flight_id
from skyhold.queries.flights import FlightFilter
from skyhold.web.problems import PROBLEM_RESPONSES
from skyhold.web.schemas import FlightBody, FlightsBody, FlightWithSeatsBody
from skyhold.web.services import UsedServices

router = APIRouter(prefix="/api/flights", tags=["flights"], responses=PROBLEM_RESPONSES)


def _parse_day(text: Any) -> date:
    # Stricter than pydantic, which takes a number for seconds since 1970.
    return text if isinstance(text, date) else date.fromisoformat(text)


_Day = Annotated[date, BeforeValidator(_parse_day), WithJsonSchema({"type": "string", "format": "date"})]

Airport = Annotated[str | None, Query(pattern="^[A-Za-z]{3}$", description="Three letters.", examples=["NYC"])]
Day = Annotated[_Day | None, Query(alias="date", description="The day of departure, at the place of departure.")]


@router.get("", operation_id="listFlights")
async def list_flights(
    services: UsedServices, origin: Airport = None, destination: Airport = None, day: Day = None
) -> FlightsBody:
    """List the flights that have not left, by departure."""
    wanted = FlightFilter(origin.upper() if origin else None, destination.upper() if destination else None, day)
    return FlightsBody(flights=[FlightBody.of(flight) for flight in await services.flights.list_upcoming(wanted)])


@router.get("/{flightId}", operation_id="getFlight")
async def get_flight(services: UsedServices, flight_id: Annotated[str, Path(alias="flightId")]) -> FlightWithSeatsBody:
    """Show one flight with every seat; also one that has left."""
    canonical = canonical_flight_id(flight_id)
    found = await services.seat_maps.find_flight(canonical) if canonical else None
    if found is None:
        raise FlightNotFound
    return FlightWithSeatsBody.of_map(found)
