"""Orders as their customer reads them: the whole order, its log, and the precheck before a command."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from skyhold.domain.errors import SkyholdError
from skyhold.domain.failures import Failure, failure_of
from skyhold.domain.orders import FailureCode, OrderStatus, Policy
from skyhold.domain.seats import Seat, SeatStatus, sort_seats
from skyhold.messages import Refusal
from skyhold.postgresql.sessions import Row
from skyhold.queries.database import IS_READ_ONLY, Database
from skyhold.queries.pages import Position

EVENTS_LIMIT = 1000
"""Maximum number of events that are read; an order has fewer: one per change of its seats or its status."""

# While a charge is under way, payment_attempts includes it; otherwise it counts the verdicts.
_ORDER = """
SELECT o.id, o.flight_id::text, o.workflow_id, o.status, o.version, o.total_price_cents, o.currency, o.expires_at,
       o.max_expires_at, o.changes, o.policy, o.answer, o.failure_code, o.failure_reason, o.reference, o.confirmed_at,
       o.created_at, o.updated_at, statement_timestamp() AS now,
       CASE WHEN o.status = 'SEATS_RESERVED'
            THEN greatest(0, ceil(extract(epoch FROM o.expires_at - statement_timestamp())))::int ELSE 0
       END AS timer_remaining,
       CASE WHEN o.status = 'PAYMENT_PROCESSING'
            THEN greatest(1, (SELECT max(attempt) FROM payment_attempts WHERE order_id = o.id))::int
            ELSE o.payment_attempts
       END AS payment_attempts,
       ARRAY(SELECT (seat_id, price_cents) FROM order_seats WHERE order_id = o.id) AS seats
FROM orders o
"""

# Ownership is part of the WHERE clause of every read, so another guest's order and a missing one look the same.
_CLAIMED = "o.id = $1 AND o.guest_hash IS NOT NULL AND ($3 OR o.guest_hash = $2)"

_ONE = f"{_ORDER} WHERE {_CLAIMED}"

_OF_GUEST = f"""{_ORDER}
WHERE o.guest_hash = $1 AND ($2::timestamptz IS NULL OR (o.created_at, o.id) < ($2, $3))
ORDER BY o.created_at DESC, o.id DESC LIMIT $4
"""

_LOOK = f"""
SELECT o.guest_hash, o.flight_id::text, o.status, o.failure_code, o.version, o.currency,
       (o.policy ->> 'max_seats')::int AS max_seats, statement_timestamp() AS now, {IS_READ_ONLY},
       CASE WHEN o.step = 1 THEN o.answer -> 'refusal' END AS hold_refusal,
       ARRAY(SELECT (s.seat_id, s.status, s.order_id, coalesce(k.price_cents, s.price_cents))
             FROM seats s
             LEFT JOIN order_seats k ON k.order_id = o.id AND k.order_id = s.order_id
                 AND k.flight_id = s.flight_id AND k.seat_id = s.seat_id
             WHERE s.flight_id = o.flight_id AND (s.seat_id = ANY($4) OR s.order_id = o.id)) AS seats
FROM (VALUES (true)) AS server LEFT JOIN orders o ON {_CLAIMED}
"""  # noqa: S608 - made of the statements above

_EVENTS = f"""
SELECT o.id, e.seq, e.status, e.version, e.seats, e.expires_at, e.failure_code, e.finding, e.at
FROM orders o LEFT JOIN order_events e ON e.order_id = o.id
WHERE {_CLAIMED} ORDER BY e.seq LIMIT $4
"""  # noqa: S608


@dataclass(frozen=True)
class PricedSeat:
    """A seat of an order with the price at which it was claimed."""

    id: str
    price_cents: int


@dataclass(frozen=True)
class OrderView:
    """An order, with `now`, the time for which `timer_remaining` was computed; seats are those it chose last.

    `last_error` is `CODE: sentence`: the last refusal while its seats are held, later the reason if it ended unbooked.
    """

    id: str
    flight_id: str | None
    workflow_id: str
    status: OrderStatus
    version: int
    seats: tuple[PricedSeat, ...]
    total_price_cents: int
    currency: str | None
    expires_at: datetime | None
    max_expires_at: datetime | None
    timer_remaining: int
    changes_left: int
    payment_attempts: int
    max_payment_attempts: int
    last_error: str | None
    failure: Failure | None
    reference: str | None
    confirmed_at: datetime | None
    created_at: datetime
    updated_at: datetime
    now: datetime


@dataclass(frozen=True)
class OrderPage:
    """A page of orders, newest first; `next` is the start of the next page, if any."""

    orders: tuple[OrderView, ...]
    next: Position | None


@dataclass(frozen=True)
class OrderAccess:
    """A caller's claim to an order: as its guest, or by the order's token, which has already been verified."""

    guest_hash: str | None = None
    has_token: bool = False


@dataclass(frozen=True)
class OrderSnapshot:
    """A snapshot of an order for the precheck before a command, with PostgreSQL's time of the read.

    `seats` are those that the order owns, at the prices it claimed them at, and those that the command requests.
    `hold_refusal` is the refusal of its hold, if it was refused.
    """

    guest_hash: str
    flight_id: str | None
    status: OrderStatus
    failure_code: str | None
    version: int
    currency: str | None
    max_seats: int
    seats: tuple[Seat, ...]
    now: datetime
    hold_refusal: SkyholdError | None = None

    @property
    def is_cancelled(self) -> bool:
        """True if the customer or an operator has cancelled the order."""
        return self.failure_code == FailureCode.CANCELLED


@dataclass(frozen=True)
class OrderEventView:
    """One line of an order's log: its state from that instant on."""

    seq: int
    status: str
    version: int
    seats: tuple[str, ...]
    expires_at: datetime | None
    failure_code: str | None
    finding: str | None
    at: datetime


class OrderQueries:
    """Reads orders."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, order_id: str, access: OrderAccess) -> OrderView | None:
        """Return the order, or None if there is none or it is not the access's.

        Raises:
            DatabaseUnavailable: PostgreSQL does not answer.
        """
        row = await self._database.row(_ONE, order_id, access.guest_hash, access.has_token)
        return _order_of(row) if row else None

    async def list_of_guest(self, guest_hash: str, *, limit: int, after: Position | None) -> OrderPage:
        """Return the guest's orders, newest first, from a position on.

        Raises:
            DatabaseUnavailable: PostgreSQL does not answer.
        """
        position = (after.at, after.id) if after else (None, None)
        # One row more than requested shows whether there is a next page.
        rows = await self._database.rows(_OF_GUEST, guest_hash, *position, limit + 1)
        orders = tuple(_order_of(row) for row in rows[:limit])
        return OrderPage(orders, Position(orders[-1].created_at, orders[-1].id) if len(rows) > limit else None)

    async def snapshot(self, order_id: str, access: OrderAccess, wanted: Sequence[str] = ()) -> OrderSnapshot | None:
        """Return the data for the precheck of a command, or None as `find` does.

        Raises:
            DatabaseUnavailable: PostgreSQL does not answer, or only reads.
        """
        row = await self._database.row_before_write(_LOOK, order_id, access.guest_hash, access.has_token, list(wanted))
        if row is None or row["status"] is None:
            return None
        facts = dict(row)
        refusal, status, seats = facts.pop("hold_refusal"), facts.pop("status"), facts.pop("seats")
        del facts["is_read_only"]
        return OrderSnapshot(
            **facts,
            status=OrderStatus(status),
            seats=seats_of(seats),
            hold_refusal=Refusal(**refusal).to_error() if refusal else None,
        )

    async def list_events(self, order_id: str, access: OrderAccess) -> list[OrderEventView] | None:
        """Return the order's log, oldest first, or None as `find` does.

        Raises:
            DatabaseUnavailable: PostgreSQL does not answer.
        """
        rows = await self._database.rows(_EVENTS, order_id, access.guest_hash, access.has_token, EVENTS_LIMIT)
        return [_event_of(row) for row in rows if row["seq"] is not None] if rows else None


def seats_of(rows: Iterable[Sequence[Any]]) -> tuple[Seat, ...]:
    """Return the seats of rows of (id, status, order id, price)."""
    return tuple(Seat(seat_id, SeatStatus(status), order_id, price) for seat_id, status, order_id, price in rows)


def _order_of(row: Row) -> OrderView:
    facts = dict(row)
    policy, answer, changes = Policy.from_json(facts.pop("policy")), facts.pop("answer"), facts.pop("changes")
    status = OrderStatus(facts.pop("status"))
    failure = failure_of(status, facts.pop("failure_code"), facts.pop("failure_reason"))
    prices: dict[str, int] = dict(facts.pop("seats"))
    return OrderView(
        **facts,
        status=status,
        seats=tuple(PricedSeat(seat, prices[seat]) for seat in sort_seats(prices)),
        changes_left=max(0, policy.max_changes - changes),
        max_payment_attempts=policy.payment_attempts,
        failure=failure,
        # During a payment the last answer may be the gateway's, whose outcome is known only at the order's end.
        last_error=failure.line if failure else _last_refusal_of(answer, status),
    )


def _last_refusal_of(answer: dict[str, Any] | None, status: OrderStatus) -> str | None:
    """Return the last command's refusal while seats are held, in the format of the booking's own status query."""
    refusal = answer["refusal"] if answer and status is OrderStatus.SEATS_RESERVED else None
    return f"{Refusal(**refusal).to_error().code}: {refusal['detail']}" if refusal else None


def _event_of(row: Row) -> OrderEventView:
    facts = {name: value for name, value in row.items() if name not in {"id", "seats", "failure_code"}}
    failure = failure_of(OrderStatus(row["status"]), row["failure_code"], None)
    return OrderEventView(**facts, seats=sort_seats(row["seats"]), failure_code=failure.code if failure else None)
