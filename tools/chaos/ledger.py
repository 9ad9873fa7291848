"""The queries of chaos to the ledger, and the flights that it adds so that there are enough seats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

TEMPLATE = "FL101"
SEATS_OF_TEMPLATE = 120

_ADD_FLIGHTS = """
WITH template AS (SELECT * FROM flights WHERE flight_number = $1),
added AS (
    INSERT INTO flights (id, flight_number, origin, destination, departs_at, departure_zone, arrives_at, arrival_zone,
                         price_cents, currency)
    SELECT gen_random_uuid(), number, origin, destination, departs_at, departure_zone, arrives_at, arrival_zone,
           price_cents, currency
    FROM template, unnest($2::text[]) AS number
    RETURNING id
), with_cabins AS (
    INSERT INTO cabins (flight_id, name, first_row, last_row, layout, exit_rows)
    SELECT added.id, c.name, c.first_row, c.last_row, c.layout, c.exit_rows
    FROM added, cabins c JOIN template ON template.id = c.flight_id
)
INSERT INTO seats (flight_id, seat_id, row_number, letter, cabin, features, price_cents)
SELECT added.id, s.seat_id, s.row_number, s.letter, s.cabin, s.features, s.price_cents
FROM added, seats s JOIN template ON template.id = s.flight_id
"""

_OPEN = """
SELECT id, status, step FROM orders
WHERE status NOT IN ('CONFIRMED', 'FAILED', 'EXPIRED') ORDER BY id
"""

_ENDS = """
SELECT CASE WHEN failure_code IS NULL THEN status ELSE status || ' ' || failure_code END AS ending, count(*) AS many
FROM orders GROUP BY 1 ORDER BY 2 DESC
"""

_MENDED = "SELECT count(DISTINCT order_id) AS many FROM order_events WHERE finding IS NOT NULL"

_EVENTS = "SELECT * FROM order_events WHERE order_id = $1 ORDER BY seq"
_ORDER = "SELECT * FROM orders WHERE id = $1"


@dataclass(frozen=True)
class OpenOrder:
    """An order that has not ended."""

    order_id: str
    status: str
    step: int


class Ledger:
    """The ledger at an address, with a new connection for each query: it may be unavailable between two of them."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def add_flights(self, seats: int) -> list[str]:
        """Add flights with at least this many seats in total, and return their numbers."""
        numbers = [f"CH{number}" for number in range(1, -(-seats // SEATS_OF_TEMPLATE) + 1)]
        await self._fetch(_ADD_FLIGHTS, TEMPLATE, numbers)
        return numbers

    async def open_orders(self) -> list[OpenOrder]:
        """Return the orders that have not ended."""
        return [OpenOrder(row["id"], row["status"], row["step"]) for row in await self._fetch(_OPEN)]

    async def endings(self) -> dict[str, int]:
        """Return the number of orders for each status and failure code."""
        return {row["ending"]: row["many"] for row in await self._fetch(_ENDS)}

    async def mended(self) -> int:
        """Return the number of orders with a finding of the reconciler."""
        return int((await self._fetch(_MENDED))[0]["many"])

    async def story(self, order_id: str) -> dict[str, Any]:
        """Return all rows of an order, for the analysis of a failure."""
        order = [dict(row) for row in await self._fetch(_ORDER, order_id)]
        events = [dict(row) for row in await self._fetch(_EVENTS, order_id)]
        return {"order": order, "events": events}

    async def _fetch(self, statement: str, *arguments: object) -> Sequence[asyncpg.Record]:
        connection = await asyncpg.connect(self._url, timeout=10, command_timeout=30)
        try:
            rows: list[asyncpg.Record] = await connection.fetch(statement, *arguments)
            return rows
        finally:
            await connection.close(timeout=5)
