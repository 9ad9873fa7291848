"""Refusals of a booking: domain errors as Temporal failures, which the caller converts back, and reasons of its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from skyhold.domain.errors import ERRORS_BY_CODE, OrderClosed, PaymentDeclined, PaymentFailed, SkyholdError
from skyhold.domain.orders import FailureCode, Order, OrderStatus
from skyhold.domain.payments import PaymentVerdict
from skyhold.messages import Answer, Refusal

R = TypeVar("R")

LOST_SENTENCE = "The process of this booking was lost. Nothing was charged."


def as_failure(refusal: Refusal) -> ApplicationError:
    """Return the refusal as a Temporal failure; BENIGN, because a refusal is not a fault that should raise an alarm."""
    return ApplicationError(
        refusal.detail,
        refusal.fields,
        type=refusal.error,
        non_retryable=True,
        category=ApplicationErrorCategory.BENIGN,
    )


def or_failure(listen: Callable[[], R]) -> R:
    """Return the result of `listen`, or raise its refusal as a failure.

    Raises:
        ApplicationError: the message was refused.
    """
    try:
        return listen()
    except SkyholdError as refusal:
        raise as_failure(Refusal.of(refusal)) from None


def refusal_of_first_hold(answer: Answer | None, order: Order) -> Refusal | None:
    """Return the refusal of the first hold, or None if the seats were held."""
    if answer is not None and answer.refusal is not None:
        return answer.refusal
    if order.status is OrderStatus.FAILED and not order.seats and order.failure_code is not None:
        # Adopted from the ledger: refused once, by a run that Temporal has lost.
        error = ERRORS_BY_CODE.get(order.failure_code.value, OrderClosed)
        return Refusal.of(error(order.failure_reason or ""))
    return None


def failure_of_payment(verdict: Answer | None, order: Order, *, is_cancelled: bool) -> tuple[FailureCode, str]:
    """Return the code and the sentence of an order that ends unpaid: its payment is closed, so nothing was charged."""
    if verdict is not None and verdict.refusal is not None:
        code, why = FailureCode(verdict.refusal.to_error().code), verdict.refusal.detail
    elif is_cancelled:
        code, why = FailureCode.CANCELLED, "The booking was cancelled by its operator."
    elif order.last_verdict is PaymentVerdict.DECLINED:
        code, why = FailureCode.PAYMENT_DECLINED, PaymentDeclined.sentence
    else:
        code, why = FailureCode.PAYMENT_FAILED, PaymentFailed.sentence
    return code, f"{why} Nothing was charged."


def failure_of_lost_payment(order: Order) -> tuple[FailureCode, str]:
    """Return code and sentence of an unpaid order whose workflow was lost: from its verdicts, else `INTERNAL`."""
    if order.last_verdict is PaymentVerdict.DECLINED or order.payment_attempts >= order.policy.payment_attempts:
        return failure_of_payment(None, order, is_cancelled=False)
    return FailureCode.INTERNAL, LOST_SENTENCE
