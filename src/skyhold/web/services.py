"""What the routes work with, handed in by bootstrap: the booking client, the readers, the probes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request

from skyhold.queries.flights import FlightQueries
from skyhold.queries.orders import OrderQueries
from skyhold.queries.seat_map import SeatMapQueries
from skyhold.web.readiness import Probe
from skyhold.workflows.booking_client import COMMAND_TIMEOUT, BookingClient


@dataclass(frozen=True)
class Services:
    """Everything outside HTTP that the routes need; `command_timeout` is that of `bookings`."""

    bookings: BookingClient
    flights: FlightQueries
    seat_maps: SeatMapQueries
    orders: OrderQueries
    probes: Mapping[str, Probe] = field(default_factory=dict)
    command_timeout: timedelta = COMMAND_TIMEOUT


async def services_of(request: Request) -> Services:
    """Return the services of the app that the request came to."""
    services: Services = request.app.state.services
    return services


UsedServices = Annotated[Services, Depends(services_of)]
