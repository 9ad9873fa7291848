"""The reconciler's queries on the ledger: open orders, ended ones whose money may be wrong, and held seats.

Nothing here decides anything: the rows may be stale a moment later, so the reconciler checks again before it acts.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from skyhold.domain.orders import OrderStatus
from skyhold.domain.payments import PaymentState
from skyhold.domain.seats import SeatKey
from skyhold.postgresql.order_statuses import HAS_ENDED_WITHOUT_SEATS, IS_OPEN
from skyhold.postgresql.sessions import Row
from skyhold.queries.database import Database

PAGE = 1000

ANY_AGE = timedelta(days=36500)
"""Longer than the age of any order."""

HOLDS_LIMIT = 100_000
"""Maximum number of held seats; with more of them the reconciler needs another way to compare them with their locks."""

OVERDUE_FOR = """
clock_timestamp() - CASE WHEN o.status = 'SEATS_RESERVED' THEN o.expires_at
    ELSE greatest(o.expires_at, (SELECT max(held_until) FROM seats WHERE order_id = o.id)) END
"""
"""Time since an open order should have ended, negative if it has time left, null if it never held seats.

Seats of an order that is being paid are held for longer than its longest payment.
"""

_OPEN_ORDERS = f"""
SELECT id, workflow_id, {OVERDUE_FOR} AS overdue_for
FROM orders o
WHERE {IS_OPEN} AND namespace_id = $1 AND id > $2 ORDER BY id LIMIT $3
"""  # noqa: S608 - of constants only

_HAS_ORDERS = "SELECT EXISTS (SELECT FROM orders WHERE namespace_id = $1) AS has_orders"

_FOREIGN_ORDERS = f"""
SELECT namespace_id, count(*) AS orders FROM orders
WHERE {IS_OPEN} AND namespace_id <> $1 GROUP BY 1 ORDER BY 1 LIMIT $2
"""  # noqa: S608 - of constants only

_ORDER = f"""
SELECT o.id, o.workflow_id, o.chain, o.step, o.status, o.payment_key,
       coalesce(p.state, 'open') AS payment, {OVERDUE_FOR} AS overdue_for
FROM orders o LEFT JOIN payments p ON p.order_id = o.id WHERE o.id = $1 AND o.namespace_id = $2
"""  # noqa: S608 - of constants only

_REFUNDS_DUE = """
SELECT o.id FROM payments p JOIN orders o ON o.id = p.order_id
WHERE p.state = 'refund_due' AND o.namespace_id = $1 AND o.id > $2 ORDER BY o.id LIMIT $3
"""

# The gateway can have money only of orders with a payment; those that ended long ago were checked by earlier runs.
_UNPAID_KEYS = f"""
SELECT o.id, o.payment_key FROM payments p JOIN orders o ON o.id = p.order_id
WHERE p.state IN ('open', 'closed', 'captured') AND o.{HAS_ENDED_WITHOUT_SEATS} AND o.namespace_id = $1
  AND o.updated_at > statement_timestamp() - $4::interval AND o.id > $2
ORDER BY o.id LIMIT $3
"""  # noqa: S608 - of constants only

_BOOKINGS = """
SELECT o.id, o.chain, o.status, clock_timestamp() - o.updated_at AS rests
FROM orders o WHERE o.id = ANY($1)
"""

_HOLDS = f"""
SELECT s.flight_id::text, s.seat_id, o.id AS order_id, o.namespace_id = $1 AS is_ours
FROM seats s JOIN orders o ON o.id = s.order_id
WHERE s.status = 'reserved' AND o.{IS_OPEN} ORDER BY 1, 2 LIMIT $2
"""  # noqa: S608 - of constants only

_FOREIGN_OWNERS = "SELECT id FROM orders WHERE id = ANY($1) AND namespace_id <> $2"

_KNOWN_FLIGHTS = "SELECT id::text FROM flights WHERE id = ANY($1::text[]::uuid[])"


@dataclass(frozen=True)
class OpenOrder:
    """An open order of our namespace, and the time since it should have ended by itself."""

    id: str
    workflow_id: str
    overdue_for: timedelta | None

    @property
    def is_overdue(self) -> bool:
        """True if it should have ended already."""
        return self.overdue_for is not None and self.overdue_for > timedelta(0)


@dataclass(frozen=True)
class OrderRow:
    """An order of our namespace, with the data to judge it and to number its next step."""

    id: str
    workflow_id: str
    chain: str
    step: int
    status: OrderStatus
    payment_key: uuid.UUID
    payment: PaymentState
    overdue_for: timedelta | None

    @property
    def is_overdue(self) -> bool:
        """True if it should have ended already; also for one that never held seats, which has no time to wait for."""
        return self.overdue_for is None or self.overdue_for > timedelta(0)


@dataclass(frozen=True)
class Booking:
    """The order of a running workflow: its chain, its status, and the time since it changed last."""

    id: str
    chain: str
    status: OrderStatus
    rests: timedelta


@dataclass(frozen=True)
class SeatHold:
    """The order that holds a seat, and whether it belongs to our namespace."""

    order_id: str
    is_ours: bool


class ReconciliationQueries:
    """Reads the ledger for the reconciler of the Temporal namespace with this id."""

    def __init__(self, database: Database, namespace_id: str) -> None:
        self._database = database
        self._namespace_id = namespace_id

    async def open_orders(self, *, after: str = "") -> list[OpenOrder]:
        """Return a page of open orders, by id, after this one."""
        rows = await self._database.rows(_OPEN_ORDERS, self._namespace_id, after, PAGE)
        return [OpenOrder(**dict(row)) for row in rows]

    async def has_orders(self) -> bool:
        """Return whether the ledger ever had an order of our namespace; if not, it may be the wrong ledger."""
        row = await self._database.row(_HAS_ORDERS, self._namespace_id)
        return bool(row and row["has_orders"])

    async def foreign_orders(self) -> dict[str, int]:
        """Return the number of open orders by foreign namespace; the reconciler must not change these."""
        rows = await self._database.rows(_FOREIGN_ORDERS, self._namespace_id, PAGE)
        return {row["namespace_id"]: row["orders"] for row in rows}

    async def find_order(self, order_id: str) -> OrderRow | None:
        """Return the order, or None if our namespace has no such order."""
        row = await self._database.row(_ORDER, order_id, self._namespace_id)
        return _order_of(row) if row else None

    async def find_bookings(self, order_ids: Sequence[str]) -> dict[str, Booking]:
        """Return the orders of these ids, of any namespace."""
        rows = await self._database.rows(_BOOKINGS, list(order_ids))
        return {row["id"]: Booking(row["id"], row["chain"], OrderStatus(row["status"]), row["rests"]) for row in rows}

    async def refunds_due(self, *, after: str = "") -> list[str]:
        """Return a page of orders with a refund due, by id, after this one."""
        rows = await self._database.rows(_REFUNDS_DUE, self._namespace_id, after, PAGE)
        return [row["id"] for row in rows]

    async def unpaid_keys(self, *, after: str = "", within: timedelta = ANY_AGE) -> list[tuple[str, uuid.UUID]]:
        """Return a page of ended orders that had a payment and for which the gateway should have no money."""
        rows = await self._database.rows(_UNPAID_KEYS, self._namespace_id, after, PAGE, within)
        return [(row["id"], row["payment_key"]) for row in rows]

    async def holds(self) -> dict[SeatKey, SeatHold]:
        """Return the hold of every held seat."""
        rows = await self._database.rows(_HOLDS, self._namespace_id, HOLDS_LIMIT)
        return {SeatKey(row["flight_id"], row["seat_id"]): SeatHold(row["order_id"], row["is_ours"]) for row in rows}

    async def foreign_owners(self, order_ids: Sequence[str]) -> set[str]:
        """Return those of the orders that belong to another namespace."""
        rows = await self._database.rows(_FOREIGN_OWNERS, list(order_ids), self._namespace_id)
        return {row["id"] for row in rows}

    async def known_flights(self, flight_ids: Sequence[str]) -> set[str]:
        """Return those of the flights that are in this ledger."""
        rows = await self._database.rows(_KNOWN_FLIGHTS, list(flight_ids))
        return {row["id"] for row in rows}


def _order_of(row: Row) -> OrderRow:
    facts = dict(row)
    return OrderRow(**facts | {"status": OrderStatus(row["status"]), "payment": PaymentState(row["payment"])})
