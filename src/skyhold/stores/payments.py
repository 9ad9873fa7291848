"""The payments of orders: attempts with their verdicts, captures, closed keys, refunds due and made.

A charge and the closing of a key are one step in two transactions each: the first opens the step before the call to the
gateway, the second closes it while it is still open. So a late run cannot record anything.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from skyhold.domain.orders import PAYING, OrderStatus
from skyhold.domain.payments import PaymentState, PaymentVerdict, refusal_of
from skyhold.messages import Answer, ClosePayment, Outcome, RefundPayment, ValidatePayment
from skyhold.postgresql.order_statuses import HAS_ENDED_WITHOUT_SEATS
from skyhold.postgresql.pools import Pool
from skyhold.postgresql.sessions import Connection
from skyhold.reconciliation_messages import OweRefund
from skyhold.stores.ledger import Ledger, LockedOrder, OrderUpdate

_PROCESSING = frozenset({OrderStatus.PAYMENT_PROCESSING})

_START_ATTEMPT = """
WITH asked AS (INSERT INTO payments (order_id, state) VALUES ($1, 'open') ON CONFLICT DO NOTHING)
INSERT INTO payment_attempts (order_id, attempt) VALUES ($1, $2) ON CONFLICT DO NOTHING
"""

_DECIDE_ATTEMPT = """
UPDATE payment_attempts SET verdict = $3, decided_at = clock_timestamp()
WHERE order_id = $1 AND attempt = $2 AND verdict IS NULL RETURNING true
"""

_SETTLE = """
INSERT INTO payments (order_id, state, captured_cents, provider_reference) VALUES ($1, $2, $3, $4)
ON CONFLICT (order_id) DO UPDATE
SET state = excluded.state, captured_cents = excluded.captured_cents, updated_at = clock_timestamp(),
    provider_reference = coalesce(payments.provider_reference, excluded.provider_reference)
"""

_KEEP_REFERENCE = """
UPDATE payments SET provider_reference = $2 WHERE order_id = $1 AND provider_reference IS NULL
"""

_REFUND_DUE = f"""
SELECT o.payment_key, p.captured_cents, o.currency FROM payments p JOIN orders o ON o.id = p.order_id
WHERE p.order_id = $1 AND p.state = 'refund_due' AND o.{HAS_ENDED_WITHOUT_SEATS}
"""  # noqa: S608 - of constants only

_REFUNDED = """
UPDATE payments SET state = 'refunded', refunded_cents = captured_cents, updated_at = clock_timestamp()
WHERE order_id = $1 AND state = 'refund_due' RETURNING true
"""


@dataclass(frozen=True)
class Charge:
    """A charge request to the gateway: a sum of money under a key that is the same for all attempts of an order."""

    key: uuid.UUID
    amount_cents: int
    currency: str
    attempt: int = 0


class PaymentStore:
    """The ledger of payments."""

    def __init__(self, ledger: Ledger, pool: Pool) -> None:
        self.ledger = ledger
        self.pool = pool

    async def open_attempt(self, request: ValidatePayment) -> tuple[Answer, Charge | None]:
        """Open the payment or its next attempt; the charge is None if the gateway must not be called."""
        charge: Charge | None = None

        async def rule(connection: Connection, order: LockedOrder) -> OrderUpdate:
            nonlocal charge
            charge = _charge_of(order, attempt=order.row["payment_attempts"] + 1)
            await connection.execute(_START_ATTEMPT, order.id, charge.attempt)
            return OrderUpdate(Outcome.OPEN, status=OrderStatus.PAYMENT_PROCESSING)

        return await self.ledger.change(request, {OrderStatus.PAYMENT_PENDING}, rule), charge

    async def record_verdict(
        self, request: ValidatePayment, attempt: int, verdict: PaymentVerdict, reference: str | None = None
    ) -> Answer:
        """Record one verdict; a final one closes the step, another leaves it open for the next attempt.

        Of two runs of one attempt the later one's verdict is not counted; a capture that it reports is still recorded.
        `reference` is the provider's; the first one is kept.
        """

        async def rule(connection: Connection, order: LockedOrder) -> OrderUpdate:
            is_counted = await connection.fetchval(_DECIDE_ATTEMPT, order.id, attempt, verdict) is True
            verdicts = order.row["payment_attempts"] + int(is_counted)
            if verdict is PaymentVerdict.APPROVED:
                cents = order.row["total_price_cents"]
                await connection.execute(_SETTLE, order.id, PaymentState.CAPTURED, cents, reference)
                return OrderUpdate(payment_attempts=verdicts)
            if reference is not None:
                await connection.execute(_KEEP_REFERENCE, order.id, reference)
            refusal = refusal_of(verdict, verdicts=verdicts, max_attempts=order.policy.payment_attempts)
            return OrderUpdate(Outcome.REFUSED if refusal else Outcome.OPEN, refusal, payment_attempts=verdicts)

        return await self.ledger.change(request, _PROCESSING, rule, amends=True)

    async def open_close(self, request: ClosePayment) -> tuple[Answer, Charge | None]:
        """Open the closing: from here on no run of `ValidatePayment` can record anything."""
        charge: Charge | None = None

        async def rule(_: Connection, order: LockedOrder) -> OrderUpdate:
            nonlocal charge
            charge = _charge_of(order)
            return OrderUpdate(Outcome.OPEN)

        return await self.ledger.change(request, PAYING, rule), charge

    async def record_close(self, request: ClosePayment, reference: str | None = None, *, is_captured: bool) -> Answer:
        """Record the final state of the key at the gateway, captured or closed, and the provider's first reference."""

        async def rule(connection: Connection, order: LockedOrder) -> OrderUpdate:
            if is_captured and order.status is OrderStatus.PAYMENT_PENDING:
                raise RuntimeError("the gateway shows a capture, but no charge was requested")
            state, cents = (
                (PaymentState.CAPTURED, order.row["total_price_cents"]) if is_captured else (PaymentState.CLOSED, 0)
            )
            await connection.execute(_SETTLE, order.id, state, cents, reference)
            return OrderUpdate()

        return await self.ledger.change(request, PAYING, rule, amends=True)

    async def refund_due(self, order_id: str) -> Charge | None:
        """Return the refund that is due, if the order has ended without its seats, or None."""
        row = await self.pool.fetchrow(_REFUND_DUE, order_id)
        return Charge(row["payment_key"], row["captured_cents"], row["currency"]) if row else None

    async def owe_refund(self, request: OweRefund) -> Answer:
        """Record a refund due for an order that ended without seats but was charged."""

        async def rule(connection: Connection, order: LockedOrder) -> OrderUpdate:
            await connection.execute(_SETTLE, order.id, PaymentState.REFUND_DUE, request.amount_cents, None)
            return OrderUpdate()

        return await self.ledger.change(request, {OrderStatus.FAILED, OrderStatus.EXPIRED}, rule)

    async def record_refund(self, request: RefundPayment) -> None:
        """Record that the money was refunded, and the reconciler's finding if any; a repetition changes nothing."""
        is_news = await self.pool.fetchval(_REFUNDED, request.order_id)
        if is_news and request.finding is not None:
            await self.ledger.note(request.order_id, request.finding)


def _charge_of(order: LockedOrder, *, attempt: int = 0) -> Charge:
    return Charge(order.row["payment_key"], order.row["total_price_cents"], order.row["currency"], attempt)
