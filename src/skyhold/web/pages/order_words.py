"""The status of an order in one sentence, for its page without scripts."""

from __future__ import annotations

from skyhold.domain.errors import HoldExpired
from skyhold.domain.failures import standard_sentence
from skyhold.domain.orders import FailureCode, OrderStatus
from skyhold.queries.orders import OrderView
from skyhold.web.pages.words import length_of_time

_PAYING = "We are talking to the bank. Your seats are safe while we finish."

_SENTENCES = {
    OrderStatus.CREATED: "We are reserving your seats.",
    OrderStatus.PAYMENT_PENDING: _PAYING,
    OrderStatus.PAYMENT_PROCESSING: _PAYING,
    OrderStatus.CONFIRMED: "Paid and confirmed. The seats are yours.",
}

_OF_FAILURES: dict[str, str] = {
    FailureCode.CANCELLED: standard_sentence(FailureCode.CANCELLED),
    HoldExpired.code: "The time ran out before you paid. The seats went back, and nothing was charged.",
    FailureCode.PAYMENT_DECLINED: "The bank declined the payment. The seats went back, and nothing was charged.",
    FailureCode.PAYMENT_FAILED: "The bank did not answer. The seats went back, and nothing was charged.",
    FailureCode.SEATS_LOST: "The seats were lost, and the payment is refunded.",
    FailureCode.REFUNDED: "The booking was undone, and the payment is refunded.",
}


def sentence_of(order: OrderView) -> str:
    """Return the status of the order, at the moment when it was read, as a sentence."""
    if order.status is OrderStatus.SEATS_RESERVED:
        return _of_hold(order.timer_remaining)
    return _OF_FAILURES.get(order.failure.code, order.failure.sentence) if order.failure else _SENTENCES[order.status]


def _of_hold(seconds: int) -> str:
    if seconds <= 0:
        return "The time of this hold is up. Nothing was charged."
    return f"The seats are held for you for another {length_of_time(seconds)}. Nothing is charged yet."
