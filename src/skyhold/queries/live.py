"""The current state that live events are compared with: the states of seats, and the times of orders' last change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from skyhold.domain.seats import SeatKey, SeatState, SeatStatus
from skyhold.queries.database import Database

ORDERS_LIMIT = 1000
"""Maximum number of orders read in one statement."""

_SEAT_STATES = """
SELECT s.seat_id, s.status, s.version, s.price_cents
FROM flights f LEFT JOIN seats s ON s.flight_id = f.id WHERE f.id = $1::uuid
"""

_CHANGE_TIMES = "SELECT id, updated_at FROM orders WHERE id = ANY($1)"


class LiveQueries:
    """Reads the current state, for followers of events that may have missed one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def seat_states(self, flight_id: str) -> list[SeatState] | None:
        """Return the states of all seats of the flight, or None if there is no such flight.

        Raises:
            DatabaseUnavailable: PostgreSQL does not answer.
        """
        rows = await self._database.rows(_SEAT_STATES, flight_id)
        if not rows:
            return None
        known = (row for row in rows if row["seat_id"] is not None)
        return [
            SeatState(SeatKey(flight_id, row["seat_id"]), SeatStatus(row["status"]), row["version"], row["price_cents"])
            for row in known
        ]

    async def change_times(self, order_ids: Sequence[str]) -> dict[str, datetime]:
        """Return the time of the last write to each of these orders; every step of an order writes it.

        Raises:
            DatabaseUnavailable: PostgreSQL does not answer.
        """
        times: dict[str, datetime] = {}
        for start in range(0, len(order_ids), ORDERS_LIMIT):
            rows = await self._database.rows(_CHANGE_TIMES, list(order_ids[start : start + ORDERS_LIMIT]))
            times |= {row["id"]: row["updated_at"] for row in rows}
        return times
