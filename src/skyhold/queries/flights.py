"""Flights as they are listed, and as a booking looks at one before it begins."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import asyncpg

from skyhold.queries.database import Database

FLIGHTS_LIMIT = 500
"""More departures than this are not listed at once."""

# A flight that has left can be looked at by its id, but is not offered.
_UPCOMING = """
SELECT f.id::text, f.flight_number, f.origin, f.destination, f.departs_at, f.departure_zone, f.arrives_at,
       f.arrival_zone, f.price_cents, f.currency, s.total_seats, s.available_seats
FROM flights f CROSS JOIN LATERAL (
    SELECT count(*) AS total_seats, count(*) FILTER (WHERE status = 'available') AS available_seats
    FROM seats WHERE flight_id = f.id) s
WHERE f.departs_at > statement_timestamp()
  AND ($1::text IS NULL OR f.origin = $1)
  AND ($2::text IS NULL OR f.destination = $2)
  AND ($3::date IS NULL OR (f.departs_at AT TIME ZONE f.departure_zone)::date = $3)
ORDER BY f.departs_at, f.id LIMIT $4
"""

_CLOCK_OF = "SELECT statement_timestamp() AS now, EXISTS (SELECT 1 FROM flights WHERE id = $1::uuid) AS is_there"


@dataclass(frozen=True)
class FlightView:
    """One departure with its price and how many of its seats are free; instants are UTC, zones are IANA names."""

    id: str
    flight_number: str
    origin: str
    destination: str
    departs_at: datetime
    departure_zone: str
    arrives_at: datetime
    arrival_zone: str
    total_seats: int
    available_seats: int
    price_cents: int
    currency: str


@dataclass(frozen=True)
class FlightFilter:
    """Which flights are wanted; `departs_on` is the day at the place of departure."""

    origin: str | None = None
    destination: str | None = None
    departs_on: date | None = None


class FlightQueries:
    """Reads flights."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_upcoming(self, wanted: FlightFilter) -> list[FlightView]:
        """Return the flights that have not left, by departure.

        Raises:
            DatabaseUnavailable: PostgreSQL does not answer.
        """
        values = (wanted.origin, wanted.destination, wanted.departs_on, FLIGHTS_LIMIT)
        return [flight_of(row) for row in await self._database.rows(_UPCOMING, *values)]

    async def read_clock(self, flight_id: str) -> datetime | None:
        """Return PostgreSQL's time if there is such a flight, which is all that a booking needs before it begins.

        Raises:
            DatabaseUnavailable: PostgreSQL does not answer.
        """
        row = await self._database.row(_CLOCK_OF, flight_id)
        now: datetime | None = row["now"] if row and row["is_there"] else None
        return now


def flight_of(row: asyncpg.Record) -> FlightView:
    """Return the flight that a row tells of."""
    return FlightView(**dict(row))
