"""A flight with all of its seats, read in one statement, so that its numbers and its seats agree."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from skyhold.domain.seats import SeatStatus
from skyhold.postgresql.sessions import Row
from skyhold.queries.database import Database
from skyhold.queries.flights import FlightView

# A hash that changes with every value of a flight and its seats, at a tenth of the cost of reading them.
_DIGEST = """
hash_record_extended(ROW(f.*,
    (SELECT bit_xor(hash_record_extended(c, 0)) FROM cabins c WHERE c.flight_id = f.id),
    (SELECT bit_xor(hash_record_extended(ROW(s.seat_id, s.status, s.version, s.cabin, s.features, s.price_cents), 0))
     FROM seats s WHERE s.flight_id = f.id)), 0)
"""

_DIGEST_OF_FLIGHT = f"SELECT {_DIGEST} AS digest FROM flights f WHERE f.id = $1::uuid"  # noqa: S608 - of constants only

_FLIGHT_WITH_SEATS = f"""
SELECT f.id::text, f.flight_number, f.origin, f.destination, f.departs_at, f.departure_zone, f.arrives_at,
       f.arrival_zone, f.price_cents, f.currency, {_DIGEST} AS digest,
       f.departs_at <= statement_timestamp() AS has_departed,
       (SELECT coalesce(jsonb_agg(jsonb_build_array(name, first_row, last_row, layout, exit_rows)
                                  ORDER BY first_row), '[]')
        FROM cabins WHERE flight_id = f.id) AS cabins,
       (SELECT coalesce(jsonb_agg(jsonb_build_array(seat_id, row_number, letter, status, cabin, features, price_cents,
                                                    version) ORDER BY row_number, letter), '[]')
        FROM seats WHERE flight_id = f.id) AS seats
FROM flights f WHERE f.id = $1::uuid
"""  # noqa: S608 - of constants only


@dataclass(frozen=True)
class SeatView:
    """One seat; `version` is raised by every change of it."""

    id: str
    row: int
    column: str
    status: str
    cabin: str
    features: tuple[str, ...]
    price_cents: int
    version: int


@dataclass(frozen=True)
class CabinView:
    """A cabin: rows from nose to tail, letters from left to right with a gap for each aisle."""

    name: str
    first_row: int
    last_row: int
    layout: str
    exit_rows: tuple[int, ...]


@dataclass(frozen=True)
class SeatMapView:
    """All seats of a flight; `rows` is the number of rows, `seats_per_row` the number of seats in the widest."""

    rows: int
    seats_per_row: int
    cabins: tuple[CabinView, ...]
    seats: tuple[SeatView, ...]


@dataclass(frozen=True)
class FlightWithSeats:
    """A snapshot of a flight and its seat map, and the digest of both, which departure does not change."""

    flight: FlightView
    seat_map: SeatMapView
    digest: str
    has_departed: bool


class SeatMapQueries:
    """Reads seat maps."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read_digest(self, flight_id: str) -> str | None:
        """Return a hash that changes with every value of the flight and its seats, or None if there is no such flight.

        Raises:
            DatabaseUnavailable: PostgreSQL does not answer.
        """
        row = await self._database.row(_DIGEST_OF_FLIGHT, flight_id)
        return _hex(row["digest"]) if row else None

    async def find_flight(self, flight_id: str) -> FlightWithSeats | None:
        """Return the flight with its seats, departed or not, or None.

        Raises:
            DatabaseUnavailable: PostgreSQL does not answer.
        """
        row = await self._database.row(_FLIGHT_WITH_SEATS, flight_id)
        return _flight_with_seats(row) if row else None


def _flight_with_seats(row: Row) -> FlightWithSeats:
    facts = dict(row)
    digest, has_departed = _hex(facts.pop("digest")), facts.pop("has_departed")
    cabins = tuple(
        CabinView(name, first_row, last_row, layout, tuple(exit_rows))
        for name, first_row, last_row, layout, exit_rows in facts.pop("cabins")
    )
    seats = tuple(
        SeatView(seat, number, letter, status, cabin, tuple(features), price_cents, version)
        for seat, number, letter, status, cabin, features, price_cents, version in facts.pop("seats")
    )
    rows = Counter(seat.row for seat in seats)
    available = sum(seat.status == SeatStatus.AVAILABLE for seat in seats)
    return FlightWithSeats(
        FlightView(**facts, total_seats=len(seats), available_seats=available),
        SeatMapView(len(rows), max(rows.values(), default=0), cabins, seats),
        digest,
        has_departed,
    )


def _hex(digest: int) -> str:
    return f"{digest & (1 << 64) - 1:016x}"
