"""Claims of seats: the first hold, changes of it, and the longer hold of an order that is being paid.

Row locks are taken in one order everywhere: the order's row, the guest's advisory lock, the seats by name.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime

from skyhold.domain.errors import DeadlineExceeded, FlightNotFound, HoldLimit, SkyholdError
from skyhold.domain.flights import require_not_departed
from skyhold.domain.holds import Hold, renew_hold, require_deadline, require_not_lapsed, start_hold
from skyhold.domain.orders import (
    FailureCode,
    OrderStatus,
    Policy,
    require_changes_left,
    require_version,
)
from skyhold.domain.requests import HoldRequest
from skyhold.domain.seats import Claim, Seat, SeatKey, SeatState, SeatStatus, plan_claim, require_expected_total
from skyhold.messages import Answer, Outcome, RefreshSeatLocks, ReserveSeats, UpdateSeatSelection
from skyhold.postgresql.order_statuses import HOLDS_SEATS
from skyhold.postgresql.sessions import Connection, Row
from skyhold.stores.ledger import Ledger, LockedOrder, NewOrder, OrderUpdate, seat_states_of

# A seat keeps the price that it was claimed at while the order owns it; a seat that was lost is claimed at a new price.
_LOOK = """
SELECT s.seat_id, s.status, s.order_id, coalesce(k.price_cents, s.price_cents) AS price_cents
FROM seats s LEFT JOIN order_seats k ON k.order_id = $3 AND k.order_id = s.order_id
    AND k.flight_id = s.flight_id AND k.seat_id = s.seat_id
WHERE s.flight_id = $1 AND (s.seat_id = ANY($2) OR s.order_id = $3)
"""

# The clock is read above the row locks: its latest reading was taken when all rows were locked.
_LOCK = """
WITH locked AS MATERIALIZED (
    SELECT flight_id, seat_id, status, order_id, price_cents FROM seats
    WHERE flight_id = $1 AND (seat_id = ANY($2) OR order_id = $3) ORDER BY seat_id FOR UPDATE)
SELECT l.seat_id, l.status, l.order_id, coalesce(k.price_cents, l.price_cents) AS price_cents, clock_timestamp() AS now
FROM locked l LEFT JOIN order_seats k ON k.order_id = $3 AND k.order_id = l.order_id
    AND k.flight_id = l.flight_id AND k.seat_id = l.seat_id
"""

# Afterwards the chosen seats are exactly the owned ones, also if the order had chosen a seat that it lost meanwhile.
_SWAP = """
WITH freed AS (
    UPDATE seats SET status = 'available', order_id = NULL, held_until = NULL, version = version + 1
    WHERE flight_id = $2 AND seat_id = ANY($5) RETURNING flight_id, seat_id, status, version, price_cents),
forgotten AS (DELETE FROM order_seats WHERE order_id = $1 AND seat_id <> ALL($3::text[] || $4::text[])),
kept AS (UPDATE seats SET held_until = $6 WHERE flight_id = $2 AND seat_id = ANY($4)),
claimed AS (
    UPDATE seats SET status = 'reserved', order_id = $1, held_until = $6, version = version + 1
    WHERE flight_id = $2 AND seat_id = ANY($3) RETURNING flight_id, seat_id, status, version, price_cents),
chosen AS (
    INSERT INTO order_seats (order_id, flight_id, seat_id, price_cents)
    SELECT $1, flight_id, seat_id, price_cents FROM claimed
    ON CONFLICT (order_id, flight_id, seat_id) DO UPDATE SET price_cents = excluded.price_cents)
SELECT * FROM freed UNION ALL SELECT * FROM claimed
"""

_CHOSEN = "SELECT seat_id FROM order_seats WHERE order_id = $1"

# The clock is read above the row locks, as in _LOCK.
_LOCK_OWN = """
WITH own AS MATERIALIZED (SELECT seat_id FROM seats WHERE order_id = $1 ORDER BY flight_id, seat_id FOR UPDATE)
SELECT seat_id, clock_timestamp() AS now FROM own
"""

_HOLD_LONGER = "UPDATE seats SET held_until = greatest(held_until, $2) WHERE order_id = $1"

_OPEN_ORDERS_OF_GUEST = f"""
SELECT count(*) FROM orders
WHERE guest_hash = $1 AND id <> $2 AND {HOLDS_SEATS}
"""  # noqa: S608 - of constants only


class SeatStore:
    """The rules for claims of seats, carried out in the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    async def reserve(
        self, request: ReserveSeats, *, flight_id: str | None, policy: Policy, namespace_id: str, is_contended: bool
    ) -> Answer:
        """Insert the order's row and hold its seats, or leave it FAILED without seats.

        `is_contended` means that a seat lock was refused: then the seats are read before their rows are locked.
        """

        async def rule(connection: Connection, order: LockedOrder) -> OrderUpdate:
            try:
                return await self._hold(connection, order, request.hold, is_contended=is_contended)
            except SkyholdError as refusal:
                return OrderUpdate(
                    Outcome.REFUSED,
                    refusal,
                    status=OrderStatus.FAILED,
                    failure_code=_failure_code_of(refusal),
                    failure_reason=refusal.detail,
                )

        birth = NewOrder(flight_id, policy, namespace_id, request.hold.guest_hash)
        return await self.ledger.change(request, {OrderStatus.CREATED}, rule, birth=birth)

    async def update_selection(self, request: UpdateSeatSelection, *, is_contended: bool) -> Answer:
        """Give the order exactly the requested seats and its full time, or leave both as they were.

        A request for the seats that it already has is an extension: a change like any other, but the versions of the
        seats and the order stay, since nothing visible about the seats changes.
        """
        change = request.change

        async def rule(connection: Connection, order: LockedOrder) -> OrderUpdate:
            hold = Hold(order.row["expires_at"], order.row["max_expires_at"])
            require_deadline(change.deadline, now=order.now)
            require_not_lapsed(hold, now=order.now)
            require_version(order.row["version"], wanted=change.version)
            claim, now = await _plan(connection, order, change.seats, is_contended=is_contended)
            require_deadline(change.deadline, now=now)
            require_not_lapsed(hold, now=now)
            require_expected_total(
                claim.total_cents, expected_cents=change.expected_total_cents, currency=order.row["currency"]
            )
            require_changes_left(order.row["changes"], order.policy)
            is_extension = not claim.is_change and await _has_chosen(connection, order, claim.kept)
            renewed = renew_hold(hold, now=now, hold_time=order.policy.hold_time)
            changed = await _swap(connection, order, claim, renewed.expires_at)
            return OrderUpdate(
                expires_at=renewed.expires_at,
                total_cents=claim.total_cents,
                has_new_seats=not is_extension,
                is_change=True,
                changed_seats=changed,
            )

        return await self.ledger.change(request, {OrderStatus.SEATS_RESERVED}, rule)

    async def held_seats(self, order_id: str) -> set[SeatKey]:
        """Return the seats that this order holds and has not bought, of any chain: those that have a seat lock."""
        rows = await self.ledger.pool.fetch(
            "SELECT flight_id, seat_id FROM seats WHERE order_id = $1 AND status = 'reserved'", order_id
        )
        return {SeatKey(str(row["flight_id"]), row["seat_id"]) for row in rows}

    async def begin_payment(self, request: RefreshSeatLocks) -> Answer:
        """Stop the clock: PAYMENT_PENDING, and the seats held for as long as a payment can take."""

        async def rule(connection: Connection, order: LockedOrder) -> OrderUpdate:
            require_deadline(request.deadline, now=order.now)
            require_version(order.row["version"], wanted=request.version)
            now = _time_of_locks(await connection.fetch(_LOCK_OWN, order.id), order)
            require_deadline(request.deadline, now=now)
            await connection.execute(_HOLD_LONGER, order.id, now + order.policy.longest_payment)
            return OrderUpdate(status=OrderStatus.PAYMENT_PENDING)

        return await self.ledger.change(request, {OrderStatus.SEATS_RESERVED}, rule)

    async def _hold(
        self, connection: Connection, order: LockedOrder, wanted: HoldRequest, *, is_contended: bool
    ) -> OrderUpdate:
        require_deadline(wanted.deadline, now=order.now)
        departs_at = order.row["departs_at"]
        if departs_at is None:
            raise FlightNotFound
        require_not_departed(departs_at, now=order.now)
        if wanted.guest_hash is not None:
            await _require_hold_left(connection, order, wanted.guest_hash)
        claim, now = await _plan(connection, order, wanted.seats, is_contended=is_contended)
        require_deadline(wanted.deadline, now=now)
        require_not_departed(departs_at, now=now)
        require_expected_total(
            claim.total_cents, expected_cents=wanted.expected_total_cents, currency=order.row["currency"]
        )
        policy = order.policy
        hold = start_hold(now=now, hold_time=policy.hold_time, max_lifetime=policy.max_lifetime, departs_at=departs_at)
        changed = await _swap(connection, order, claim, hold.expires_at)
        return OrderUpdate(
            status=OrderStatus.SEATS_RESERVED,
            expires_at=hold.expires_at,
            max_expires_at=hold.max_expires_at,
            total_cents=claim.total_cents,
            has_new_seats=True,
            changed_seats=changed,
        )


async def _require_hold_left(connection: Connection, order: LockedOrder, guest_hash: str) -> None:
    # Counted under a lock per guest: otherwise twenty concurrent requests would all count before any of them inserts.
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", guest_hash)
    if await connection.fetchval(_OPEN_ORDERS_OF_GUEST, guest_hash, order.id) >= order.policy.max_holds:
        raise HoldLimit(limit=order.policy.max_holds)


async def _plan(
    connection: Connection, order: LockedOrder, wanted: Sequence[str], *, is_contended: bool
) -> tuple[Claim, datetime]:
    """Return the planned claim, and the time at which all its rows were locked."""
    facts: tuple[uuid.UUID, list[str], str] = (order.row["flight_id"], list(wanted), order.id)
    if is_contended:
        # A seat lock's refusal is a hint: PostgreSQL confirms it here, and its row locks stay free for the holder.
        _claim_of(await connection.fetch(_LOOK, *facts), order, wanted)
    rows = await connection.fetch(_LOCK, *facts)
    return _claim_of(rows, order, wanted), _time_of_locks(rows, order)


async def _has_chosen(connection: Connection, order: LockedOrder, seats: Collection[str]) -> bool:
    """Return whether these are the seats that the order chose last, which may include one that it has lost since."""
    return {row["seat_id"] for row in await connection.fetch(_CHOSEN, order.id)} == set(seats)


def _time_of_locks(rows: Sequence[Row], order: LockedOrder) -> datetime:
    """Return the latest clock reading of these rows: from then on all of them, and the order's row, were locked."""
    return max((row["now"] for row in rows), default=order.now)


def _claim_of(rows: Sequence[Row], order: LockedOrder, wanted: Sequence[str]) -> Claim:
    seats = (Seat(row["seat_id"], SeatStatus(row["status"]), row["order_id"], row["price_cents"]) for row in rows)
    return plan_claim(order.id, wanted, seats, max_seats=order.policy.max_seats)


async def _swap(
    connection: Connection, order: LockedOrder, claim: Claim, held_until: datetime
) -> tuple[SeatState, ...]:
    seats = (list(claim.added), list(claim.kept), list(claim.dropped))
    return seat_states_of(await connection.fetch(_SWAP, order.id, order.row["flight_id"], *seats, held_until))


def _failure_code_of(refusal: SkyholdError) -> FailureCode:
    return FailureCode.INTERNAL if isinstance(refusal, DeadlineExceeded) else FailureCode(refusal.code)
