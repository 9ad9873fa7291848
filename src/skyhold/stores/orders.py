"""The ends of an order: confirmed with its seats booked, failed or expired with its seats given back."""

from __future__ import annotations

from skyhold.domain.errors import SeatsLost
from skyhold.domain.holds import Hold, has_lapsed
from skyhold.domain.orders import PAYING, OrderStatus, new_reference, require_version
from skyhold.domain.payments import PaymentState
from skyhold.domain.seats import SeatState
from skyhold.messages import Answer, ConfirmOrder, ExpireOrder, FailOrder
from skyhold.postgresql.sessions import Connection
from skyhold.stores.ledger import Command, Ledger, LockedOrder, Ruling, seat_states_of

_LOCK_OWN_SEATS = "SELECT seat_id FROM seats WHERE order_id = $1 ORDER BY flight_id, seat_id FOR UPDATE"

_CHOSEN_SEATS = "SELECT seat_id FROM order_seats WHERE order_id = $1"

_BOOK = """
UPDATE seats SET status = 'booked', held_until = NULL, version = version + 1 WHERE order_id = $1 AND status = 'reserved'
RETURNING seat_id, status, version, price_cents
"""

_GIVE_BACK = """
UPDATE seats SET status = 'available', order_id = NULL, held_until = NULL, version = version + 1
WHERE order_id = $1 AND status = 'reserved'
RETURNING seat_id, status, version, price_cents
"""

_PAYMENT_STATE = "SELECT state FROM payments WHERE order_id = $1"

_OWE_REFUND = """
UPDATE payments SET state = 'refund_due', updated_at = clock_timestamp() WHERE order_id = $1 AND state = 'captured'
"""


class OrderStore:
    """The ledger's answers to how an order ends."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    async def confirm(self, ask: ConfirmOrder) -> Answer:
        """Book the seats of an order whose payment was captured, or refuse because it no longer owns them.

        The reference is unique by constraint alone: a clash, one in 887 million, breaks this try, and the next draws
        another.
        """

        async def rule(connection: Connection, order: LockedOrder) -> Ruling:
            if await connection.fetchval(_PAYMENT_STATE, order.id) != PaymentState.CAPTURED:
                raise RuntimeError("an order can be confirmed only after its payment was captured")
            owned = {row["seat_id"] for row in await connection.fetch(_LOCK_OWN_SEATS, order.id)}
            chosen = {row["seat_id"] for row in await connection.fetch(_CHOSEN_SEATS, order.id)}
            if owned != chosen:
                raise SeatsLost
            booked = seat_states_of(await connection.fetch(_BOOK, order.id))
            return Ruling(status=OrderStatus.CONFIRMED, reference=new_reference(), changed_seats=booked)

        return await self.ledger.change(
            ask.step, Command("ConfirmOrder", frozenset({OrderStatus.PAYMENT_PROCESSING})), rule
        )

    async def fail(self, ask: FailOrder) -> Answer:
        """End the order as FAILED, give its seats back, and write down a refund if money was taken.

        While it is being paid, a failure must find the payment closed or captured: else a late charge could still come.
        """

        async def rule(connection: Connection, order: LockedOrder) -> Ruling:
            require_version(order.row["version"], wanted=ask.version)
            state = await connection.fetchval(_PAYMENT_STATE, order.id) or PaymentState.OPEN
            if order.status.is_paying and state == PaymentState.OPEN:
                raise RuntimeError("an order that is being paid can fail only after its payment was closed")
            await connection.execute(_OWE_REFUND, order.id)
            freed = await _give_seats_back(connection, order)
            return Ruling(
                status=OrderStatus.FAILED, failure_code=ask.code, failure_reason=ask.reason, changed_seats=freed
            )

        legal = frozenset({OrderStatus.CREATED, OrderStatus.SEATS_RESERVED}) | PAYING
        command = Command("FailOrder", legal, (ask.code, ask.version), finding=ask.finding)
        return await self.ledger.change(ask.step, command, rule)

    async def expire(self, ask: ExpireOrder) -> Answer:
        """End the order as EXPIRED if its time is up; else only tell, by the order, how much is left.

        Either way the step is answered for good: a late twin of it must not expire what a payment was promised.
        """

        async def rule(connection: Connection, order: LockedOrder) -> Ruling:
            if not has_lapsed(Hold(order.row["expires_at"], order.row["max_expires_at"]), now=order.now):
                return Ruling()
            return Ruling(status=OrderStatus.EXPIRED, changed_seats=await _give_seats_back(connection, order))

        command = Command("ExpireOrder", frozenset({OrderStatus.SEATS_RESERVED}), finding=ask.finding)
        return await self.ledger.change(ask.step, command, rule)


async def _give_seats_back(connection: Connection, order: LockedOrder) -> tuple[SeatState, ...]:
    await connection.fetch(_LOCK_OWN_SEATS, order.id)
    return seat_states_of(await connection.fetch(_GIVE_BACK, order.id))
