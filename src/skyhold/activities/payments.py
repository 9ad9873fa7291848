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
from skyhold.messages import PAYMENT_ATTEMPT, Answer, ClosePayment, Outcome, RefundPayment, ValidatePayment
from skyhold.payments.gateway import ChargeResult, GatewayError
from skyhold.reconciliation_messages import OweRefund

if TYPE_CHECKING:
    from skyhold.payments.gateway import PaymentGateway
    from skyhold.stores.payments import Charge, PaymentStore

GATEWAY_LIMIT_SECONDS = 10.0
"""Time limit for the gateway to close a key or to refund; the call is retried until it succeeds."""

PENDING_PAUSE_SECONDS = 0.5
"""Pause before the gateway is asked again about a charge that it has not decided yet."""

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
            verdict, reference = await self._ask_gateway(request, charge, answer.order.policy.payment_limit)
            if verdict is None:
                return Answer(Outcome.STALE, order=answer.order)
            answer = publish_change(
                await self.payments.record_verdict(request, charge.attempt, verdict, reference), self.publish
            )
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
        """Make the gateway show the capture or refuse every later charge, and record which it was.

        Raises:
            ApplicationError: the gateway has not decided the charge yet; the closing must be repeated.
        """
        async with heartbeats():
            answer, charge = await self.payments.open_close(request)
            answer = publish_change(answer, self.publish)
            if charge is None:
                return answer
            async with asyncio.timeout(GATEWAY_LIMIT_SECONDS):
                closed = await self.gateway.close(charge.key)
            if closed.result is ChargeResult.PENDING:
                raise ApplicationError(
                    "the charge is pending", type="PaymentPending", category=ApplicationErrorCategory.BENIGN
                )
            is_captured = closed.result is ChargeResult.APPROVED
            answer = await self.payments.record_close(request, closed.reference, is_captured=is_captured)
            return publish_change(answer, self.publish)

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

    async def _ask_gateway(
        self, request: ValidatePayment, charge: Charge, limit: timedelta
    ) -> tuple[PaymentVerdict | None, str | None]:
        """Return the verdict and the provider's reference.

        Without a verdict a later step has closed the key: this run is late. A charge that is still pending at the limit
        is a timeout.
        """
        reference = None
        try:
            async with asyncio.timeout(limit.total_seconds()) as bound:
                while True:
                    answer = await self.gateway.charge(charge.key, charge.amount_cents, charge.currency, request.code)
                    reference = reference or answer.reference
                    if answer.result is not ChargeResult.PENDING:
                        break
                    await asyncio.sleep(PENDING_PAUSE_SECONDS)
        except TimeoutError:
            if not bound.expired():
                raise  # A timeout from elsewhere, such as PostgreSQL: not a verdict of the gateway.
            return PaymentVerdict.TIMEOUT, reference
        except GatewayError:
            return PaymentVerdict.ERROR, reference
        return (None if answer.result is ChargeResult.CLOSED else PaymentVerdict(answer.result.value)), reference


async def _tell_own_workflow(attempt: int) -> None:
    """Send the attempt's number to the workflow, for its query; only from the second on: most payments have one."""
    info = activity.info()
    if info.workflow_id is None:
        return
    # Customers read the ledger: a lost signal only makes the query's number wrong.
    with contextlib.suppress(Exception):
        handle = activity.client().get_workflow_handle(info.workflow_id, run_id=info.workflow_run_id)
        await handle.signal(PAYMENT_ATTEMPT, attempt, rpc_timeout=SIGNAL_TIMEOUT)
