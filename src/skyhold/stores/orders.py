"""The ends of an order: confirmed with its seats booked, failed or expired with its seats released."""

from __future__ import annotations

from skyhold.domain.errors import SeatsLost
from skyhold.domain.holds import Hold, has_lapsed
from skyhold.domain.orders import PAYING, OrderStatus, new_reference, require_version
from skyhold.domain.payments import PaymentState
from skyhold.domain.seats import SeatState
from skyhold.messages import Answer, ConfirmOrder, ExpireOrder, FailOrder
from skyhold.postgresql.sessions import Connection
from skyhold.stores.ledger import Ledger, LockedOrder, OrderUpdate, seat_states_of

_LOCK_OWN_SEATS = "SELECT flight_id, seat_id FROM seats WHERE order_id = $1 ORDER BY flight_id, seat_id FOR UPDATE"

_CHOSEN_SEATS = "SELECT flight_id, seat_id FROM order_seats WHERE order_id = $1"

_BOOK = """
UPDATE seats SET status = 'booked', held_until = NULL, version = version + 1 WHERE order_id = $1 AND status = 'reserved'
RETURNING flight_id, seat_id, status, version, price_cents
"""

_GIVE_BACK = """
UPDATE seats SET status = 'available', order_id = NULL, held_until = NULL, version = version + 1
WHERE order_id = $1 AND status = 'reserved'
RETURNING flight_id, seat_id, status, version, price_cents
"""

_PAYMENT_STATE = "SELECT state FROM payments WHERE order_id = $1"

_OWE_REFUND = """
UPDATE payments SET state = 'refund_due', updated_at = clock_timestamp() WHERE order_id = $1 AND state = 'captured'
"""


class OrderStore:
    """The rules for the end of an order, carried out in the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    async def confirm(self, request: ConfirmOrder) -> Answer:
        """Book the seats of an order whose payment was captured, or refuse because it no longer owns them.

        Only a constraint makes the reference unique: a clash, one in 887 million, fails this attempt, and the retry
        draws another.
        """

        async def rule(connection: Connection, order: LockedOrder) -> OrderUpdate:
            if await connection.fetchval(_PAYMENT_STATE, order.id) != PaymentState.CAPTURED:
                raise RuntimeError("an order can be confirmed only after its payment was captured")
            owned = await connection.fetch(_LOCK_OWN_SEATS, order.id)
            chosen = await connection.fetch(_CHOSEN_SEATS, order.id)
            if set(owned) != set(chosen):
                raise SeatsLost
            booked = seat_states_of(await connection.fetch(_BOOK, order.id))
            return OrderUpdate(status=OrderStatus.CONFIRMED, reference=new_reference(), changed_seats=booked)

        return await self.ledger.change(request, {OrderStatus.PAYMENT_PROCESSING}, rule)

    async def fail(self, request: FailOrder) -> Answer:
        """End the order as FAILED, release its seats, and record a refund due if money was captured.

        While it is being paid, its payment must be closed or captured first: otherwise a late charge could still come.
        """

        async def rule(connection: Connection, order: LockedOrder) -> OrderUpdate:
            require_version(order.row["version"], wanted=request.version)
            state = await connection.fetchval(_PAYMENT_STATE, order.id) or PaymentState.OPEN
            if order.status.is_paying and state == PaymentState.OPEN:
                raise RuntimeError("an order that is being paid can fail only after its payment was closed")
            await connection.execute(_OWE_REFUND, order.id)
            freed = await _give_seats_back(connection, order)
            return OrderUpdate(
                status=OrderStatus.FAILED, failure_code=request.code, failure_reason=request.reason, changed_seats=freed
            )

        legal = {OrderStatus.CREATED, OrderStatus.SEATS_RESERVED} | PAYING
        return await self.ledger.change(request, legal, rule)

    async def expire(self, request: ExpireOrder) -> Answer:
        """End the order as EXPIRED if its time is up; otherwise only return, in the order, how much is left.

        Either way the step is used up: a late duplicate of it must not expire an order whose payment was accepted.
        """

        async def rule(connection: Connection, order: LockedOrder) -> OrderUpdate:
            if not has_lapsed(Hold(order.row["expires_at"], order.row["max_expires_at"]), now=order.now):
                return OrderUpdate()
            return OrderUpdate(status=OrderStatus.EXPIRED, changed_seats=await _give_seats_back(connection, order))

        return await self.ledger.change(request, {OrderStatus.SEATS_RESERVED}, rule)


async def _give_seats_back(connection: Connection, order: LockedOrder) -> tuple[SeatState, ...]:
    await connection.fetch(_LOCK_OWN_SEATS, order.id)
    return seat_states_of(await connection.fetch(_GIVE_BACK, order.id))
