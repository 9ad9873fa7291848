"""Flights: the list of upcoming ones, one by its id, and the routes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, datetime

from skyhold.postgresql.sessions import Row
from skyhold.queries.database import Database
from skyhold.queries.pages import Position

# A flight that has departed can be read by its id, but is not listed.
_UPCOMING = """
SELECT f.id::text, f.flight_number, f.origin, f.destination, f.departs_at, f.departure_zone, f.arrives_at,
       f.arrival_zone, f.price_cents, f.currency, s.total_seats, s.available_seats,
       hash_record_extended(ROW(f.*, s.total_seats, s.available_seats), 0) AS digest
FROM flights f CROSS JOIN LATERAL (
    SELECT count(*) AS total_seats, count(*) FILTER (WHERE status = 'available') AS available_seats
    FROM seats WHERE flight_id = f.id) s
WHERE f.departs_at > statement_timestamp()
  AND ($1::text IS NULL OR f.origin = $1)
  AND ($2::text IS NULL OR f.destination = $2)
  AND ($3::date IS NULL OR (f.departs_at AT TIME ZONE f.departure_zone)::date = $3)
  AND ($4::timestamptz IS NULL OR (f.departs_at, f.id) > ($4, $5::uuid))
ORDER BY f.departs_at, f.id LIMIT $6
"""

_ONE = """
SELECT f.id::text, f.flight_number, f.origin, f.destination, f.departs_at, f.departure_zone, f.arrives_at,
       f.arrival_zone, f.price_cents, f.currency, s.total_seats, s.available_seats
FROM flights f CROSS JOIN LATERAL (
    SELECT count(*) AS total_seats, count(*) FILTER (WHERE status = 'available') AS available_seats
    FROM seats WHERE flight_id = f.id) s
WHERE f.id = $1::uuid
"""

_ROUTES = """
SELECT DISTINCT origin, destination FROM flights WHERE departs_at > statement_timestamp()
ORDER BY origin, destination LIMIT $1
"""

ROUTES_LIMIT = 1000
"""Maximum number of routes; a longer list would be of no use to a person."""


@dataclass(frozen=True)
class FlightView:
    """One departure with its price and the number of free seats; instants are UTC, zones are IANA names."""

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
    """A filter of flights; `departs_on` is the day at the place of departure."""

    origin: str | None = None
    destination: str | None = None
    departs_on: date | None = None


@dataclass(frozen=True)
class FlightPage:
    """A page of flights by departure; `next` is the start of the next page, if any. `digest` is a hash of the page."""

    flights: tuple[FlightView, ...]
    next: Position | None
    digest: str


class FlightQueries:
    """Reads flights."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_upcoming(self, wanted: FlightFilter, *, limit: int, after: Position | None) -> FlightPage:
        """Return the flights that have not departed, by departure, from a position on.

        Raises:
            DatabaseUnavailable: PostgreSQL does not answer.
        """
        position = (after.at, after.id) if after else (None, None)
        # One row more than requested shows whether there is a next page.
        values = (wanted.origin, wanted.destination, wanted.departs_on, *position, limit + 1)
        rows = await self._database.rows(_UPCOMING, *values)
        page, has_more = rows[:limit], len(rows) > limit
        facts = repr([has_more, *(row["digest"] for row in page)])
        digest = hashlib.blake2b(facts.encode(), digest_size=8).hexdigest()
        end = Position(page[-1]["departs_at"], page[-1]["id"]) if has_more else None
        return FlightPage(tuple(flight_of(row) for row in page), end, digest)

    async def find(self, flight_id: str) -> FlightView | None:
        """Return the flight, departed or not, or None.

        Raises:
            DatabaseUnavailable: PostgreSQL does not answer.
        """
        row = await self._database.row(_ONE, flight_id)
        return flight_of(row) if row else None

    async def list_routes(self) -> list[tuple[str, str]]:
        """Return origin and destination of every route with a flight that has not departed.

        Raises:
            DatabaseUnavailable: PostgreSQL does not answer.
        """
        rows = await self._database.rows(_ROUTES, ROUTES_LIMIT)
        return [(row["origin"], row["destination"]) for row in rows]


def flight_of(row: Row) -> FlightView:
    """Return the flight of a row."""
    return FlightView(**{name: value for name, value in row.items() if name != "digest"})
