"""Domain errors on their way out of a workflow, as failures that the caller can turn back into the same errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from skyhold.domain.errors import ERRORS_BY_CODE, OrderClosed, SkyholdError
from skyhold.domain.orders import Order, OrderStatus
from skyhold.messages import Answer, Refusal

R = TypeVar("R")


def as_failure(refusal: Refusal) -> ApplicationError:
    """Return the refusal as it crosses Temporal; BENIGN, because a "no" is no fault to be alarmed about."""
    return ApplicationError(
        refusal.detail,
        refusal.fields,
        type=refusal.error,
        non_retryable=True,
        category=ApplicationErrorCategory.BENIGN,
    )


def or_failure(listen: Callable[[], R]) -> R:
    """Return what listening to a message gives, or raise its refusal as a failure.

    Raises:
        ApplicationError: the message was refused.
    """
    try:
        return listen()
    except SkyholdError as refusal:
        raise as_failure(Refusal.of(refusal)) from None


def refusal_of_first_hold(answer: Answer | None, order: Order) -> Refusal | None:
    """Return why the seats were never held, or None if they were."""
    if answer is not None and answer.refusal is not None:
        return answer.refusal
    if order.status is OrderStatus.FAILED and not order.seats and order.failure_code is not None:
        # Adopted from the ledger: refused once, by a run that Temporal has forgotten.
        error = ERRORS_BY_CODE.get(order.failure_code.value, OrderClosed)
        return Refusal.of(error(order.failure_reason or ""))
    return None
