"""Where flights go from and to: the choices that the list of flights can be narrowed by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from skyhold.queries.flights import FlightQueries
from skyhold.shared_reads import SharedRead

REMEMBERED_SECONDS = 60.0
"""How long a new place may be missing, and one without flights be offered."""


@dataclass(frozen=True)
class Choices:
    """Codes of airports and cities, in order."""

    origins: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()


class Places:
    """Knows the choices, and looks at PostgreSQL for them once a minute at most."""

    def __init__(self, flights: Callable[[], FlightQueries]) -> None:
        self._flights = flights
        self._choices = Choices()
        self._reading = SharedRead(self._read)

    async def choices(self) -> Choices:
        """Return where flights go.

        Raises:
            DatabaseUnavailable: PostgreSQL does not answer.
        """
        await self._reading.be_fresh(max_age=REMEMBERED_SECONDS)
        return self._choices

    async def _read(self) -> None:
        routes = await self._flights().list_routes()
        origins, destinations = {origin for origin, _ in routes}, {destination for _, destination in routes}
        self._choices = Choices(tuple(sorted(origins)), tuple(sorted(destinations)))
