"""What the reconciler reads of the ledger: open orders, ended ones whose money may be adrift, and seats that are held.

Nothing here decides anything: what it reads may be old news a moment later, and whoever acts on it looks again.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from skyhold.domain.orders import OrderStatus
from skyhold.domain.payments import PaymentState
from skyhold.postgresql.sessions import Row
from skyhold.queries.database import Database

PAGE = 1000

EVER = timedelta(days=36500)
"""Longer than any order has been there."""

HOLDS_LIMIT = 100_000
"""Seats that are held at one time; beyond it the reconciler needs another way to compare them with their locks."""

OVERDUE_FOR = """
clock_timestamp() - CASE WHEN o.status = 'SEATS_RESERVED' THEN o.expires_at
    ELSE greatest(o.expires_at, (SELECT max(held_until) FROM seats WHERE order_id = o.id)) END
"""
"""For how long an open order should have ended by now, negative if it has time left, null if it never held seats.

Seats of an order that is being paid are held for longer than its longest payment.
"""

_OPEN_ORDERS = f"""
SELECT id, workflow_id, {OVERDUE_FOR} AS overdue_for
FROM orders o
WHERE status NOT IN ('CONFIRMED', 'FAILED', 'EXPIRED') AND namespace_id = $1 AND id > $2 ORDER BY id LIMIT $3
"""  # noqa: S608 - of constants alone

_HAS_ORDERS = "SELECT EXISTS (SELECT FROM orders WHERE namespace_id = $1) AS has_orders"

_FOREIGN_ORDERS = """
SELECT namespace_id, count(*) AS orders FROM orders
WHERE status NOT IN ('CONFIRMED', 'FAILED', 'EXPIRED') AND namespace_id <> $1 GROUP BY 1 ORDER BY 1 LIMIT $2
"""

_ORDER = f"""
SELECT o.id, o.workflow_id, o.chain, o.step, o.status, o.payment_key,
       coalesce(p.state, 'open') AS payment, {OVERDUE_FOR} AS overdue_for
FROM orders o LEFT JOIN payments p ON p.order_id = o.id WHERE o.id = $1 AND o.namespace_id = $2
"""  # noqa: S608 - of constants alone

_REFUNDS_DUE = """
SELECT o.id FROM payments p JOIN orders o ON o.id = p.order_id
WHERE p.state = 'refund_due' AND o.namespace_id = $1 AND o.id > $2 ORDER BY o.id LIMIT $3
"""

# Only of orders that were asked to pay can the gateway have money; those that ended long ago were looked at before.
_UNPAID_KEYS = """
SELECT o.id, o.payment_key FROM payments p JOIN orders o ON o.id = p.order_id
WHERE p.state IN ('open', 'closed', 'captured') AND o.status IN ('FAILED', 'EXPIRED') AND o.namespace_id = $1
  AND o.updated_at > statement_timestamp() - $4::interval AND o.id > $2
ORDER BY o.id LIMIT $3
"""

_BOOKINGS = """
SELECT o.id, o.chain, o.status, clock_timestamp() - o.updated_at AS rests
FROM orders o WHERE o.id = ANY($1)
"""

_HOLDS = """
SELECT s.flight_id::text, s.seat_id, o.id AS order_id, o.namespace_id = $1 AS is_ours
FROM seats s JOIN orders o ON o.id = s.order_id
WHERE s.status = 'reserved' AND o.status NOT IN ('CONFIRMED', 'FAILED', 'EXPIRED') ORDER BY 1, 2 LIMIT $2
"""

_FOREIGN_OWNERS = "SELECT id FROM orders WHERE id = ANY($1) AND namespace_id <> $2"

_KNOWN_FLIGHTS = "SELECT id::text FROM flights WHERE id = ANY($1::text[]::uuid[])"


@dataclass(frozen=True)
class OpenOrder:
    """An open order of our namespace, and for how long it should have ended by itself."""

    id: str
    workflow_id: str
    overdue_for: timedelta | None

    @property
    def is_overdue(self) -> bool:
        """Whether it should have ended by now."""
        return self.overdue_for is not None and self.overdue_for > timedelta(0)


@dataclass(frozen=True)
class OrderRow:
    """An order of our namespace, with what is needed to judge it and to name the next step of it."""

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
        """Whether it should have ended by now; one that never held seats has nothing to wait for."""
        return self.overdue_for is None or self.overdue_for > timedelta(0)


@dataclass(frozen=True)
class Booking:
    """What a running workflow finds of its order: whose it is, where it stands, and for how long it has stood there."""

    id: str
    chain: str
    status: OrderStatus
    rests: timedelta


@dataclass(frozen=True)
class SeatHold:
    """Who holds a seat, and whether that order is of our namespace."""

    order_id: str
    is_ours: bool


class ReconciliationQueries:
    """Reads what may have been left behind in the Temporal namespace with this id."""

    def __init__(self, database: Database, namespace_id: str) -> None:
        self._database = database
        self._namespace_id = namespace_id

    async def open_orders(self, *, after: str = "") -> list[OpenOrder]:
        """A page of open orders, by id, after this one."""
        rows = await self._database.rows(_OPEN_ORDERS, self._namespace_id, after, PAGE)
        return [OpenOrder(**dict(row)) for row in rows]

    async def has_orders(self) -> bool:
        """Say whether any order of ours ever was in this ledger: else it may be another than our workflows write to."""
        row = await self._database.row(_HAS_ORDERS, self._namespace_id)
        return bool(row and row["has_orders"])

    async def foreign_orders(self) -> dict[str, int]:
        """How many open orders belong to workflows of other namespaces, by namespace: they are not ours to touch."""
        rows = await self._database.rows(_FOREIGN_ORDERS, self._namespace_id, PAGE)
        return {row["namespace_id"]: row["orders"] for row in rows}

    async def find_order(self, order_id: str) -> OrderRow | None:
        """The order, or None if there is none of ours."""
        row = await self._database.row(_ORDER, order_id, self._namespace_id)
        return _order_of(row) if row else None

    async def find_bookings(self, order_ids: Sequence[str]) -> dict[str, Booking]:
        """The orders of these ids, whosever they are."""
        rows = await self._database.rows(_BOOKINGS, list(order_ids))
        return {row["id"]: Booking(row["id"], row["chain"], OrderStatus(row["status"]), row["rests"]) for row in rows}

    async def refunds_due(self, *, after: str = "") -> list[str]:
        """A page of orders that are owed money, by id, after this one."""
        rows = await self._database.rows(_REFUNDS_DUE, self._namespace_id, after, PAGE)
        return [row["id"] for row in rows]

    async def unpaid_keys(self, *, after: str = "", within: timedelta = EVER) -> list[tuple[str, uuid.UUID]]:
        """A page of ended orders for which the gateway was asked and should have nothing, with their keys."""
        rows = await self._database.rows(_UNPAID_KEYS, self._namespace_id, after, PAGE, within)
        return [(row["id"], row["payment_key"]) for row in rows]

    async def holds(self) -> dict[tuple[str, str], SeatHold]:
        """Every seat that is held, by flight and seat."""
        rows = await self._database.rows(_HOLDS, self._namespace_id, HOLDS_LIMIT)
        return {(row["flight_id"], row["seat_id"]): SeatHold(row["order_id"], row["is_ours"]) for row in rows}

    async def foreign_owners(self, order_ids: Sequence[str]) -> set[str]:
        """Those of the orders that belong to another namespace."""
        rows = await self._database.rows(_FOREIGN_OWNERS, list(order_ids), self._namespace_id)
        return {row["id"] for row in rows}

    async def known_flights(self, flight_ids: Sequence[str]) -> set[str]:
        """Those of the flights that are in this ledger."""
        rows = await self._database.rows(_KNOWN_FLIGHTS, list(flight_ids))
        return {row["id"] for row in rows}


def _order_of(row: Row) -> OrderRow:
    facts = dict(row)
    return OrderRow(**facts | {"status": OrderStatus(row["status"]), "payment": PaymentState(row["payment"])})
