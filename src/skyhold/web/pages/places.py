"""Origins and destinations of flights: the choices that the list of flights can be filtered by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from skyhold.queries.flights import FlightQueries
from skyhold.resilience.single_flight import SingleFlight

REMEMBERED_SECONDS = 60.0
"""The age at which the choices are read again; until then a new place is missing, and an old one is offered."""


@dataclass(frozen=True)
class Choices:
    """Codes of airports and cities, in order."""

    origins: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()


class Places:
    """The choices, read from PostgreSQL once a minute at most."""

    def __init__(self, flights: Callable[[], FlightQueries]) -> None:
        self._flights = flights
        self._choices = Choices()
        self._reading = SingleFlight(self._read)

    async def choices(self) -> Choices:
        """Return the origins and destinations.

        Raises:
            DatabaseUnavailable: PostgreSQL does not answer.
        """
        await self._reading.refresh(max_age=REMEMBERED_SECONDS)
        return self._choices

    async def _read(self) -> None:
        routes = await self._flights().list_routes()
        origins, destinations = {origin for origin, _ in routes}, {destination for _, destination in routes}
        self._choices = Choices(tuple(sorted(origins)), tuple(sorted(destinations)))
