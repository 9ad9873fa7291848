"""The audit's queries on the ledger: orders and seats that break an invariant (docs/rules.md#invariants).

Where the ledger is sufficient to judge, a query returns a row of (order_id, step, subject, detail) per violation. Data
that is compared with another server (money, locks, workflows) is read in pages. The audit decides whether a row is a
violation or belongs to an order in flight.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from skyhold.domain.orders import TRANSITIONS, OrderStatus
from skyhold.domain.seats import SeatKey
from skyhold.postgresql.order_statuses import HAS_ENDED_WITHOUT_SEATS, HOLDS_SEATS, IS_OPEN
from skyhold.postgresql.sessions import Row
from skyhold.queries.database import Database
from skyhold.queries.reconciliation import OVERDUE_FOR

FINDINGS_LIMIT = 1000
"""Maximum number of findings of each kind; a longer list would not help an operator."""

PAGE = 5000

# Ownership: a seat's status, its owner's status and the seats that the owner chose must agree.
_SEATS_WITHOUT_RIGHTFUL_OWNER = f"""
SELECT o.id AS order_id, o.step, s.seat_id AS subject,
       format('seat %s is %s for an order that is %s', s.seat_id, s.status, coalesce(o.status, 'missing')) AS detail
FROM seats s LEFT JOIN orders o ON o.id = s.order_id
WHERE (s.order_id IS NOT NULL OR s.status IN ('reserved', 'booked'))
  AND (o.{HAS_ENDED_WITHOUT_SEATS}) IS NOT TRUE
  AND NOT coalesce(s.flight_id = o.flight_id AND CASE s.status
        WHEN 'booked' THEN o.status = 'CONFIRMED'
        WHEN 'reserved' THEN o.{HOLDS_SEATS}
        ELSE false END, false)
ORDER BY 1, 3 LIMIT $1
"""  # noqa: S608 - of constants only

_SEATS = """
coalesce(array_agg(flight_id ORDER BY flight_id, seat_id), '{}') AS flights,
coalesce(array_agg(seat_id ORDER BY flight_id, seat_id), '{}') AS seats
"""

_ORDERS_WITHOUT_THEIR_SEATS = f"""
SELECT o.id AS order_id, o.step, 'seats' AS subject,
       format('the order is %s and chose %s, but owns %s', o.status, chosen.seats, owned.seats) AS detail
FROM orders o
CROSS JOIN LATERAL (SELECT {_SEATS} FROM order_seats WHERE order_id = o.id) AS chosen
CROSS JOIN LATERAL (SELECT {_SEATS} FROM seats WHERE order_id = o.id) AS owned
WHERE (o.{HOLDS_SEATS} OR o.status = 'CONFIRMED')
  AND ((chosen.flights, chosen.seats) <> (owned.flights, owned.seats) OR chosen.seats = '{{}}')
ORDER BY 1 LIMIT $1
"""  # noqa: S608 - of constants only

_SEATS_OF_ENDED_ORDERS = f"""
SELECT o.id AS order_id, o.step, s.seat_id AS subject,
       format('seat %s is still %s for an order that is %s', s.seat_id, s.status, o.status) AS detail
FROM seats s JOIN orders o ON o.id = s.order_id WHERE o.{HAS_ENDED_WITHOUT_SEATS} ORDER BY 1, 3 LIMIT $1
"""  # noqa: S608 - of constants only

_TOTALS = """
SELECT o.id AS order_id, o.step, 'total' AS subject,
       format('the total is %s cents, the prices kept sum to %s', o.total_price_cents, kept.cents) AS detail
FROM orders o
CROSS JOIN LATERAL (SELECT coalesce(sum(price_cents), 0) AS cents FROM order_seats WHERE order_id = o.id) AS kept
WHERE o.total_price_cents <> kept.cents ORDER BY 1 LIMIT $1
"""

# The log must begin with CREATED, count without a gap, contain only legal transitions, and end in the order's state.
_BROKEN_LOGS = """
WITH legal AS (SELECT * FROM unnest($2::text[], $3::text[]) AS way (before, after)),
walked AS (
    SELECT order_id, seq, status, failure_code, version, expires_at, finding,
           lag(status) OVER log AS before, lag(version) OVER log AS version_before,
           lag(expires_at) OVER log AS expires_at_before, row_number() OVER log AS place,
           lead(seq) OVER log IS NULL AS is_last
    FROM order_events WINDOW log AS (PARTITION BY order_id ORDER BY seq)),
judged AS (
    SELECT o.id AS order_id, o.step, w.seq, CASE
        WHEN w.seq IS NULL THEN 'the order has no event'
        WHEN w.seq <> w.place THEN format('event %s is missing', w.place)
        WHEN w.before IS NULL AND w.status <> 'CREATED' THEN format('the log begins with %s', w.status)
        WHEN w.finding IS NOT NULL
            AND (w.status, w.version, w.expires_at) IS DISTINCT FROM (w.before, w.version_before, w.expires_at_before)
            THEN format('event %s is a finding but records a change', w.seq)
        WHEN w.finding IS NULL AND w.before = w.status
            AND NOT (w.status = 'SEATS_RESERVED' AND (w.version = w.version_before + 1
                OR (w.version = w.version_before AND w.expires_at IS DISTINCT FROM w.expires_at_before)))
            THEN format('event %s records no change', w.seq)
        WHEN w.before <> w.status AND NOT EXISTS (SELECT FROM legal l WHERE l.before = w.before AND l.after = w.status)
            THEN format('event %s goes from %s to %s', w.seq, w.before, w.status)
        WHEN w.before = 'CONFIRMED' AND w.status <> 'CONFIRMED' AND w.failure_code IS DISTINCT FROM 'REFUNDED'
            THEN format('event %s fails a confirmed order without a refund', w.seq)
        WHEN w.is_last AND w.status <> o.status
            THEN format('the log ends with %s, the order is %s', w.status, o.status)
        WHEN w.is_last AND w.version <> o.version
            THEN format('the log ends at version %s of the seats, the order is at %s', w.version, o.version)
        WHEN w.is_last AND w.status = 'SEATS_RESERVED' AND w.expires_at IS DISTINCT FROM o.expires_at
            THEN 'the log ends with another deadline than that of the order'
        END AS detail
    FROM orders o LEFT JOIN walked w ON w.order_id = o.id)
SELECT order_id, step, coalesce('event ' || seq, 'log') AS subject, detail FROM judged
WHERE detail IS NOT NULL ORDER BY order_id, seq LIMIT $1
"""

_ENDED_MONEY = f"""
SELECT o.id AS order_id, o.step, o.status, o.payment_key, o.total_price_cents, coalesce(p.state, 'none') AS state,
       coalesce(p.captured_cents, 0) AS captured_cents, coalesce(p.refunded_cents, 0) AS refunded_cents
FROM orders o LEFT JOIN payments p ON p.order_id = o.id
WHERE o.id > $1 AND NOT o.{IS_OPEN}
  AND (p.order_id IS NOT NULL OR o.status = 'CONFIRMED')
ORDER BY o.id LIMIT $2
"""  # noqa: S608 - of constants only

# Keys without a charge in the ledger: they belong to no order, or to one that never requested a charge.
_UNASKED_KEYS = """
SELECT key, o.id AS order_id, o.step, o.status FROM unnest($1::uuid[]) AS key LEFT JOIN orders o ON o.payment_key = key
WHERE NOT EXISTS (SELECT FROM payments p WHERE p.order_id = o.id)
"""

# A hold needs its lock until its seats' `held_until`; a lapsed hold may outlive its lock.
_HOLDS = f"""
SELECT o.id AS order_id, o.step, s.flight_id, s.seat_id, clock_timestamp() - o.updated_at AS unchanged_for
FROM orders o JOIN seats s ON s.order_id = o.id
WHERE o.{IS_OPEN} AND ($1::text IS NULL OR o.namespace_id = $1)
  AND s.status = 'reserved' AND s.held_until > clock_timestamp() AND (o.id, s.flight_id, s.seat_id) > ($2, $3, $4)
ORDER BY o.id, s.flight_id, s.seat_id LIMIT $5
"""  # noqa: S608 - of constants only

_LOCKED_SEATS = """
SELECT o.id AS order_id, o.step, o.status, o.namespace_id, s.seat_id IS NOT NULL AS is_seat, s.order_id AS owner_id,
       clock_timestamp() - o.updated_at AS unchanged_for
FROM unnest($1::uuid[], $2::text[], $3::text[]) WITH ORDINALITY AS lock (flight_id, seat_id, order_id, place)
LEFT JOIN orders o ON o.id = lock.order_id
LEFT JOIN seats s ON s.flight_id = lock.flight_id AND s.seat_id = lock.seat_id ORDER BY lock.place
"""

_ORDERS = f"""
SELECT id AS order_id, step, status, chain, namespace_id, clock_timestamp() - updated_at AS unchanged_for,
       CASE WHEN {IS_OPEN} THEN {OVERDUE_FOR} END AS overdue_for FROM orders o
"""  # noqa: S608 - of constants only

_OPEN_ORDERS = f"""{_ORDERS}
WHERE {IS_OPEN} AND namespace_id = $1 AND id > $2 ORDER BY id LIMIT $3
"""

_ORDERS_BY_ID = f"{_ORDERS} WHERE id = ANY($1)"

_FOREIGN_ORDERS = f"""
SELECT count(*) AS orders FROM orders
WHERE {IS_OPEN} AND namespace_id <> $1
"""  # noqa: S608 - of constants only


@dataclass(frozen=True)
class Suspicion:
    """A possible violation of an invariant by one order, as read at this step of the order."""

    order_id: str | None
    step: int | None
    subject: str
    detail: str


@dataclass(frozen=True)
class EndedMoney:
    """The money of an order that has ended, according to the ledger."""

    order_id: str
    step: int
    status: OrderStatus
    key: uuid.UUID
    total_cents: int
    state: str
    captured_cents: int
    refunded_cents: int


@dataclass(frozen=True)
class HeldSeat:
    """A seat that an open order holds, at this step of the order, and the time since the order changed last."""

    order_id: str
    step: int
    flight_id: uuid.UUID
    seat_id: str
    unchanged_for: timedelta


@dataclass(frozen=True)
class LockedSeat:
    """A seat lock's order and the seat's owner in the ledger; the order's fields are None if it does not exist."""

    order_id: str | None
    step: int | None
    status: OrderStatus | None
    namespace_id: str | None
    is_seat: bool
    owner_id: str | None
    unchanged_for: timedelta


@dataclass(frozen=True)
class OrderInLedger:
    """An order's state, its chain and namespace, and the time since it changed last, to compare with its workflow.

    `overdue_for` is the time since an open order should have ended, negative or None if it has time left.
    """

    order_id: str
    step: int
    status: OrderStatus
    chain: str
    namespace_id: str
    unchanged_for: timedelta
    overdue_for: timedelta | None


class AuditQueries:
    """Reads the ledger for the audit."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def seats_without_rightful_owner(self) -> list[Suspicion]:
        """Return seats whose status and owner do not match."""
        return await self._suspicions(_SEATS_WITHOUT_RIGHTFUL_OWNER)

    async def orders_without_their_seats(self) -> list[Suspicion]:
        """Return orders that hold or bought seats and do not own exactly those they chose."""
        return await self._suspicions(_ORDERS_WITHOUT_THEIR_SEATS)

    async def seats_of_ended_orders(self) -> list[Suspicion]:
        """Return seats that an order still owns although it failed or expired."""
        return await self._suspicions(_SEATS_OF_ENDED_ORDERS)

    async def wrong_totals(self) -> list[Suspicion]:
        """Return orders whose total is not the sum of the prices kept with their seats."""
        return await self._suspicions(_TOTALS)

    async def broken_logs(self) -> list[Suspicion]:
        """Return orders whose log is not a legal path from CREATED to their status."""
        ways = [(before.value, after.value) for before, afters in TRANSITIONS.items() for after in sorted(afters)]
        return await self._suspicions(_BROKEN_LOGS, [way[0] for way in ways], [way[1] for way in ways])

    async def ended_money(self, *, after: str = "") -> list[EndedMoney]:
        """Return a page of ended orders with money to account for, by id, after this one."""
        rows = await self._database.rows(_ENDED_MONEY, after, PAGE)
        return [
            EndedMoney(
                row["order_id"],
                row["step"],
                OrderStatus(row["status"]),
                row["payment_key"],
                row["total_price_cents"],
                row["state"],
                row["captured_cents"],
                row["refunded_cents"],
            )
            for row in rows
        ]

    async def unasked_keys(self, keys: list[uuid.UUID]) -> dict[uuid.UUID, Suspicion]:
        """Return those of the keys under which the ledger never requested a charge, with the key's order if any."""
        rows = await self._database.rows(_UNASKED_KEYS, keys)
        return {
            row["key"]: Suspicion(
                row["order_id"], row["step"], "statement", f"the order is {row['status'] or 'missing'}"
            )
            for row in rows
        }

    async def holds(self, *, namespace_id: str | None, after: HeldSeat | None = None) -> list[HeldSeat]:
        """Return a page of seats with a live hold, after this one: of a namespace's orders, or of all with None."""
        place = (after.order_id, after.flight_id, after.seat_id) if after else ("", uuid.UUID(int=0), "")
        return [HeldSeat(**dict(row)) for row in await self._database.rows(_HOLDS, namespace_id, *place, PAGE)]

    async def locked_seats(self, seats: Sequence[SeatKey | None], order_ids: Sequence[str | None]) -> list[LockedSeat]:
        """Return these locks' orders and seats, in the same sequence; None stands for an invalid name or value."""
        flights = [uuid.UUID(seat.flight_id) if seat else None for seat in seats]
        rows = await self._database.rows(_LOCKED_SEATS, flights, [seat and seat.seat_id for seat in seats], order_ids)
        return [
            LockedSeat(
                row["order_id"],
                row["step"],
                OrderStatus(row["status"]) if row["status"] else None,
                row["namespace_id"],
                row["is_seat"],
                row["owner_id"],
                row["unchanged_for"] or timedelta(0),
            )
            for row in rows
        ]

    async def open_orders(self, *, namespace_id: str, after: str = "", limit: int = PAGE) -> list[OrderInLedger]:
        """Return a page of open orders of the namespace, by id, after this one."""
        return [_order_of(row) for row in await self._database.rows(_OPEN_ORDERS, namespace_id, after, limit)]

    async def orders(self, order_ids: Sequence[str]) -> dict[str, OrderInLedger]:
        """Return the existing orders of these ids."""
        rows = await self._database.rows(_ORDERS_BY_ID, order_ids)
        return {row["order_id"]: _order_of(row) for row in rows}

    async def count_foreign_orders(self, *, namespace_id: str) -> int:
        """Return the number of open orders of other Temporal namespaces."""
        row = await self._database.row(_FOREIGN_ORDERS, namespace_id)
        return int(row["orders"]) if row else 0

    async def now(self) -> datetime:
        """Return PostgreSQL's time."""
        rows = await self._database.rows("SELECT clock_timestamp() AS now")
        now: datetime = rows[0]["now"]
        return now

    async def _suspicions(self, statement: str, *values: object) -> list[Suspicion]:
        return [Suspicion(**dict(row)) for row in await self._database.rows(statement, FINDINGS_LIMIT, *values)]


def _order_of(row: Row) -> OrderInLedger:
    return OrderInLedger(**dict(row) | {"status": OrderStatus(row["status"])})
