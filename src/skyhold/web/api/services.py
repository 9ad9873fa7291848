"""The services that the routes use, passed in by bootstrap: the booking client, the readers, the checks."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request

from skyhold.domain.orders import Policy
from skyhold.health.verdict import Checks
from skyhold.queries.flights import FlightQueries
from skyhold.queries.orders import OrderQueries
from skyhold.queries.sales import SaleQueries
from skyhold.queries.seat_map import SeatMapQueries
from skyhold.web.api.claims import InFlightClaims
from skyhold.web.api.origins import Origins
from skyhold.web.api.seat_search import SeatSearch
from skyhold.web.idempotency import IdempotencyKeys
from skyhold.web.identity import GuestCookies, Identities
from skyhold.web.live.watches import Live
from skyhold.web.revalidation import ResponseCache
from skyhold.workflows.booking_client import COMMAND_TIMEOUT, BookingClient


@dataclass(frozen=True)
class Services:
    """Everything outside HTTP that the routes need; `command_timeout` is that of `bookings`."""

    bookings: BookingClient
    flights: FlightQueries
    seat_maps: SeatMapQueries
    orders: OrderQueries
    sales: SaleQueries
    identities: Identities
    cookies: GuestCookies
    idempotency_keys: IdempotencyKeys
    seat_search: SeatSearch
    live: Live
    policy: Policy = field(default_factory=Policy)
    origins: Origins = field(default_factory=Origins)
    seat_map_cache: ResponseCache = field(default_factory=ResponseCache)
    flight_list_cache: ResponseCache = field(default_factory=ResponseCache)
    claims: InFlightClaims = field(default_factory=InFlightClaims)
    checks: Checks = field(default_factory=lambda: Checks({}))
    command_timeout: timedelta = COMMAND_TIMEOUT


async def services_of(request: Request) -> Services:
    """Return the services of the app that serves the request."""
    services: Services = request.app.state.services
    return services


UsedServices = Annotated[Services, Depends(services_of)]
