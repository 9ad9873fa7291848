"""Payment: one attempt a run, the closing of a payment whose outcome is unknown, refunds that are due.

Temporal's retry policy waits between attempts and runs again what a crash cut off; the ledger counts verdicts.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from skyhold.activities.heartbeats import heartbeats
from skyhold.activities.publishing import told
from skyhold.domain.payments import PaymentVerdict
from skyhold.events.changes import Publish
from skyhold.messages import PAYMENT_ATTEMPT, Answer, ClosePayment, Outcome, OweRefund, RefundPayment, ValidatePayment
from skyhold.payments.gateway import ChargeResult, GatewayError

if TYPE_CHECKING:
    from skyhold.payments.gateway import PaymentGateway
    from skyhold.stores.payments import Charge, PaymentStore

GATEWAY_LIMIT_SECONDS = 10.0
"""How long the gateway may take to close a key or to give money back; it is asked again until it has."""

SIGNAL_TIMEOUT = timedelta(seconds=1)


class PaymentActivities:
    """Asks the gateway, shuts it out, pays back."""

    def __init__(self, payments: PaymentStore, gateway: PaymentGateway, publish: Publish) -> None:
        self.payments = payments
        self.gateway = gateway
        self.publish = publish

    @activity.defn(name="ValidatePayment")
    async def validate_payment(self, ask: ValidatePayment) -> Answer:
        """Ask the gateway once for the order's total, and count its verdict.

        The answer is done when the money was taken, refused when it never will be, stale when the order moved on.

        Raises:
            ApplicationError: the attempt came to an error or a time-out and another one is left.
        """
        async with heartbeats():
            answer, charge = await self.payments.open_attempt(ask)
            answer = told(answer, self.publish)
            if charge is None or answer.order is None:
                return answer
            if charge.attempt > 1:
                await _tell_own_workflow(charge.attempt)
            verdict = await self._ask_gateway(ask, charge, answer.order.policy.payment_limit)
            if verdict is None:
                return Answer(Outcome.STALE, order=answer.order)
            answer = told(await self.payments.record_verdict(ask, charge.attempt, verdict), self.publish)
        if answer.outcome is Outcome.OPEN:
            raise ApplicationError(
                f"payment attempt {charge.attempt}: {verdict.value}",
                {"attempt": charge.attempt, "verdict": verdict.value},
                type="PaymentAttemptFailed",
                category=ApplicationErrorCategory.BENIGN,
            )
        return answer

    @activity.defn(name="ClosePayment")
    async def close_payment(self, ask: ClosePayment) -> Answer:
        """Make the gateway show the capture or refuse every later charge, and write down which it was."""
        async with heartbeats():
            answer, charge = await self.payments.open_close(ask)
            answer = told(answer, self.publish)
            if charge is None:
                return answer
            async with asyncio.timeout(GATEWAY_LIMIT_SECONDS):
                is_captured = await self.gateway.close(charge.key)
            return told(await self.payments.record_close(ask, is_captured=is_captured), self.publish)

    @activity.defn(name="RefundPayment")
    async def refund_payment(self, ask: RefundPayment) -> None:
        """Give back what the ledger says is due; once, however often it is run."""
        async with heartbeats():
            if charge := await self.payments.refund_due(ask.order_id):
                async with asyncio.timeout(GATEWAY_LIMIT_SECONDS):
                    await self.gateway.refund(charge.key)
                await self.payments.record_refund(ask)

    @activity.defn(name="OweRefund")
    async def owe_refund(self, ask: OweRefund) -> Answer:
        """Write down that money which the gateway took for an order that ended unpaid must be given back."""
        return told(await self.payments.owe_refund(ask), self.publish)

    async def _ask_gateway(self, ask: ValidatePayment, charge: Charge, limit: timedelta) -> PaymentVerdict | None:
        """Return the verdict, or None if a later step closed the key: this run is late, and that is no verdict."""
        try:
            async with asyncio.timeout(limit.total_seconds()) as bound:
                result = await self.gateway.charge(charge.key, charge.amount_cents, charge.currency, ask.code)
        except TimeoutError:
            if not bound.expired():
                raise  # Somebody else's time-out, PostgreSQL's perhaps: no verdict of the gateway.
            return PaymentVerdict.TIMEOUT
        except GatewayError:
            return PaymentVerdict.ERROR
        return None if result is ChargeResult.CLOSED else PaymentVerdict(result.value)


async def _tell_own_workflow(attempt: int) -> None:
    """Let the query say which attempt is under way; from the second on, so that the usual payment costs no message."""
    info = activity.info()
    if info.workflow_id is None:
        return
    # What the customer reads comes from the ledger: a signal that is lost costs nothing but the query's number.
    with contextlib.suppress(Exception):
        handle = activity.client().get_workflow_handle(info.workflow_id, run_id=info.workflow_run_id)
        await handle.signal(PAYMENT_ATTEMPT, attempt, rpc_timeout=SIGNAL_TIMEOUT)
