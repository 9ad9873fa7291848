"""The precheck of a sale: the flight, the requested seats and PostgreSQL's time. It may be stale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from skyhold.domain.seats import Seat
from skyhold.queries.database import IS_READ_ONLY, Database
from skyhold.queries.orders import seats_of

_SALE = f"""
SELECT statement_timestamp() AS now, {IS_READ_ONLY}, f.departs_at, f.currency,
       ARRAY(SELECT (seat_id, status, order_id, price_cents) FROM seats
             WHERE flight_id = f.id AND (seat_id = ANY($2) OR order_id = $3)) AS seats
FROM (VALUES ($1::uuid)) AS wanted (flight_id) LEFT JOIN flights f ON f.id = wanted.flight_id
"""  # noqa: S608 - made of the statements above


@dataclass(frozen=True)
class SaleSnapshot:
    """A flight and the seats wanted on it; `departs_at` is None if there is no such flight."""

    departs_at: datetime | None
    currency: str | None
    seats: tuple[Seat, ...]
    now: datetime


class SaleQueries:
    """Reads the data for the precheck of a new booking."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def snapshot(self, order_id: str, flight_id: str, wanted: Sequence[str]) -> SaleSnapshot:
        """Return the flight and the seats as the order would find them.

        Raises:
            DatabaseUnavailable: PostgreSQL does not answer, or only reads.
        """
        row = await self._database.row_before_write(_SALE, flight_id, list(wanted), order_id)
        if row is None:
            raise LookupError("one row in, no row out")
        return SaleSnapshot(row["departs_at"], row["currency"], seats_of(row["seats"]), row["now"])
