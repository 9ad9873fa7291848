"""Payment: one attempt per run, the closing of a payment whose outcome is unknown, refunds that are due.

Temporal's retry policy waits between attempts and repeats a run that a crash cut off; the ledger counts verdicts.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from skyhold.activities.heartbeats import heartbeats
from skyhold.activities.publishing import publish_change
from skyhold.domain.payments import PaymentVerdict
from skyhold.events.changes import Publish
from skyhold.messages import PAYMENT_ATTEMPT, Answer, ClosePayment, Outcome, OweRefund, RefundPayment, ValidatePayment
from skyhold.payments.gateway import ChargeResult, GatewayError

if TYPE_CHECKING:
    from skyhold.payments.gateway import PaymentGateway
    from skyhold.stores.payments import Charge, PaymentStore

GATEWAY_LIMIT_SECONDS = 10.0
"""Time limit for the gateway to close a key or to refund; the call is retried until it succeeds."""

SIGNAL_TIMEOUT = timedelta(seconds=1)


class PaymentActivities:
    """Charges, closes and refunds payments at the gateway."""

    def __init__(self, payments: PaymentStore, gateway: PaymentGateway, publish: Publish) -> None:
        self.payments = payments
        self.gateway = gateway
        self.publish = publish

    @activity.defn(name="ValidatePayment")
    async def validate_payment(self, request: ValidatePayment) -> Answer:
        """Charge the order's total at the gateway once, and count its verdict.

        The answer is done after a capture, refused when no attempt can succeed any more, stale when the order has moved
        to another step.

        Raises:
            ApplicationError: the attempt ended in an error or a timeout and another one is left.
        """
        async with heartbeats():
            answer, charge = await self.payments.open_attempt(request)
            answer = publish_change(answer, self.publish)
            if charge is None or answer.order is None:
                return answer
            if charge.attempt > 1:
                await _tell_own_workflow(charge.attempt)
            verdict = await self._ask_gateway(request, charge, answer.order.policy.payment_limit)
            if verdict is None:
                return Answer(Outcome.STALE, order=answer.order)
            answer = publish_change(await self.payments.record_verdict(request, charge.attempt, verdict), self.publish)
        if answer.outcome is Outcome.OPEN:
            raise ApplicationError(
                f"payment attempt {charge.attempt}: {verdict.value}",
                {"attempt": charge.attempt, "verdict": verdict.value},
                type="PaymentAttemptFailed",
                category=ApplicationErrorCategory.BENIGN,
            )
        return answer

    @activity.defn(name="ClosePayment")
    async def close_payment(self, request: ClosePayment) -> Answer:
        """Make the gateway show the capture or refuse every later charge, and record which it was."""
        async with heartbeats():
            answer, charge = await self.payments.open_close(request)
            answer = publish_change(answer, self.publish)
            if charge is None:
                return answer
            async with asyncio.timeout(GATEWAY_LIMIT_SECONDS):
                is_captured = await self.gateway.close(charge.key)
            return publish_change(await self.payments.record_close(request, is_captured=is_captured), self.publish)

    @activity.defn(name="RefundPayment")
    async def refund_payment(self, request: RefundPayment) -> None:
        """Pay the refund that is due according to the ledger; once, however often it is run."""
        async with heartbeats():
            if charge := await self.payments.refund_due(request.order_id):
                async with asyncio.timeout(GATEWAY_LIMIT_SECONDS):
                    await self.gateway.refund(charge.key)
                await self.payments.record_refund(request)

    @activity.defn(name="OweRefund")
    async def owe_refund(self, request: OweRefund) -> Answer:
        """Record a refund due for an order that ended unpaid but was charged by the gateway."""
        return publish_change(await self.payments.owe_refund(request), self.publish)

    async def _ask_gateway(self, request: ValidatePayment, charge: Charge, limit: timedelta) -> PaymentVerdict | None:
        """Return the verdict, or None if a later step closed the key: then this run is late and has no verdict."""
        try:
            async with asyncio.timeout(limit.total_seconds()) as bound:
                result = await self.gateway.charge(charge.key, charge.amount_cents, charge.currency, request.code)
        except TimeoutError:
            if not bound.expired():
                raise  # A timeout from elsewhere, such as PostgreSQL: not a verdict of the gateway.
            return PaymentVerdict.TIMEOUT
        except GatewayError:
            return PaymentVerdict.ERROR
        return None if result is ChargeResult.CLOSED else PaymentVerdict(result.value)


async def _tell_own_workflow(attempt: int) -> None:
    """Send the attempt's number to the workflow, for its query; only from the second on: most payments have one."""
    info = activity.info()
    if info.workflow_id is None:
        return
    # Customers read the ledger: a lost signal only makes the query's number wrong.
    with contextlib.suppress(Exception):
        handle = activity.client().get_workflow_handle(info.workflow_id, run_id=info.workflow_run_id)
        await handle.signal(PAYMENT_ATTEMPT, attempt, rpc_timeout=SIGNAL_TIMEOUT)
