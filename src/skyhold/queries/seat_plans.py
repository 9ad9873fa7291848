"""The data of a flight that a search for alternative seats needs: no features, no versions, no owners."""

from __future__ import annotations

from skyhold.domain.seat_plans import CabinLayout, PlacedSeat, SeatPlan
from skyhold.domain.seats import SeatStatus
from skyhold.queries.database import Database

_PLAN = """
SELECT (SELECT coalesce(jsonb_agg(jsonb_build_array(name, first_row, last_row, layout) ORDER BY first_row), '[]')
        FROM cabins WHERE flight_id = $1::uuid) AS cabins,
       (SELECT coalesce(jsonb_agg(jsonb_build_array(seat_id, row_number, letter, cabin, status, price_cents)), '[]')
        FROM seats WHERE flight_id = $1::uuid) AS seats
"""


class SeatPlanQueries:
    """Reads seat plans."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, flight_id: str) -> SeatPlan:
        """Return the seats of the flight as they are now; a plan without seats if there is no such flight.

        Raises:
            DatabaseUnavailable: PostgreSQL does not answer.
        """
        (row,) = await self._database.rows(_PLAN, flight_id)
        seats = (
            PlacedSeat(seat, number, letter, cabin, SeatStatus(status), price_cents)
            for seat, number, letter, cabin, status, price_cents in row["seats"]
        )
        return SeatPlan(seats, [CabinLayout(*cabin) for cabin in row["cabins"]])
