"""The data of a flight that a search for seats needs: no versions, no owners."""

from __future__ import annotations

from dataclasses import dataclass

from skyhold.domain.seat_plans import CabinLayout, PlacedSeat, SeatPlan
from skyhold.domain.seats import SeatStatus
from skyhold.queries.database import Database

_PLAN = """
SELECT currency, departs_at <= statement_timestamp() AS has_departed,
       (SELECT coalesce(jsonb_agg(jsonb_build_array(name, first_row, last_row, layout) ORDER BY first_row), '[]')
        FROM cabins WHERE flight_id = f.id) AS cabins,
       (SELECT coalesce(jsonb_agg(jsonb_build_array(
            seat_id, row_number, letter, cabin, status, price_cents, 'exit_row' = ANY(features))), '[]')
        FROM seats WHERE flight_id = f.id) AS seats
FROM flights f WHERE f.id = $1::uuid
"""


@dataclass(frozen=True)
class FlightPlan:
    """A flight's seats at one moment, the currency of their prices, and whether the flight had departed."""

    seats: SeatPlan
    currency: str
    has_departed: bool


class SeatPlanQueries:
    """Reads seat plans."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, flight_id: str) -> FlightPlan | None:
        """Return the seats of the flight as they are now, or None if there is no such flight.

        Raises:
            DatabaseUnavailable: PostgreSQL does not answer.
        """
        row = await self._database.row(_PLAN, flight_id)
        if row is None:
            return None
        seats = (
            PlacedSeat(seat, number, letter, cabin, SeatStatus(status), price_cents, is_exit_row)
            for seat, number, letter, cabin, status, price_cents, is_exit_row in row["seats"]
        )
        cabins = [CabinLayout(*cabin) for cabin in row["cabins"]]
        return FlightPlan(SeatPlan(seats, cabins), row["currency"], row["has_departed"])
