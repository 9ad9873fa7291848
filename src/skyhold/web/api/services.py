"""What the routes work with, handed in by bootstrap: the booking client, the readers, the checks."""

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
from skyhold.web.api.alternatives import Alternatives
from skyhold.web.api.claims import ClaimsUnderWay
from skyhold.web.api.origins import Origins
from skyhold.web.idempotency import RequestNames
from skyhold.web.identity import GuestCookies, Identities
from skyhold.web.live.watches import Live
from skyhold.web.revalidation import KeptReplies
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
    names: RequestNames
    alternatives: Alternatives
    live: Live
    policy: Policy = field(default_factory=Policy)
    origins: Origins = field(default_factory=Origins)
    kept_seat_maps: KeptReplies = field(default_factory=KeptReplies)
    kept_flight_lists: KeptReplies = field(default_factory=KeptReplies)
    claims: ClaimsUnderWay = field(default_factory=ClaimsUnderWay)
    checks: Checks = field(default_factory=lambda: Checks({}))
    command_timeout: timedelta = COMMAND_TIMEOUT


async def services_of(request: Request) -> Services:
    """Return the services of the app that the request came to."""
    services: Services = request.app.state.services
    return services


UsedServices = Annotated[Services, Depends(services_of)]
