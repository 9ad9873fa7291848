"""Failures of orders that ended without a booking: a code for programs and a sentence for people.

The ledger stores a FAILED order's code and usually its sentence. It stores neither for an EXPIRED one, since the status
is the reason; here it gets the code with which commands on it are refused.
"""

from __future__ import annotations

from dataclasses import dataclass

from skyhold.domain.errors import ERRORS_BY_CODE, HoldExpired
from skyhold.domain.orders import FailureCode, OrderStatus

FAILURE_CODES = (*(code.value for code in FailureCode), HoldExpired.code)
"""Every code that an order's end can have."""

_NOTHING_CHARGED = "Nothing was charged."

_SENTENCES = {
    HoldExpired.code: f"The hold ran out before a payment began. {_NOTHING_CHARGED}",
    FailureCode.CANCELLED: f"The booking was cancelled. {_NOTHING_CHARGED}",
    FailureCode.PAYMENT_DECLINED: f"The payment was declined. {_NOTHING_CHARGED}",
    FailureCode.PAYMENT_FAILED: f"The payment failed. {_NOTHING_CHARGED}",
    FailureCode.REFUNDED: "The booking was undone after its payment. The money was given back.",
    FailureCode.INTERNAL: f"The booking ended because of a fault on our side. {_NOTHING_CHARGED}",
}


@dataclass(frozen=True)
class Failure:
    """The reason why an order ended without a booking."""

    code: str
    sentence: str

    @property
    def line(self) -> str:
        """Code and sentence in one line, the format of `lastError`."""
        return f"{self.code}: {self.sentence}"


def failure_of(status: OrderStatus, code: str | None, sentence: str | None) -> Failure | None:
    """Return the reason why an order with this status ended without a booking, or None if it did not.

    `code` and `sentence` are those stored with the order; without a stored sentence it gets its code's standard one.
    """
    if status is OrderStatus.EXPIRED:
        code = HoldExpired.code
    elif status is not OrderStatus.FAILED or code is None:
        return None
    return Failure(code, sentence or standard_sentence(code))


def standard_sentence(code: str) -> str:
    """Return the sentence that is true of every order that ended with this code."""
    error = ERRORS_BY_CODE.get(code)
    return _SENTENCES.get(code) or (error.sentence if error else _SENTENCES[FailureCode.INTERNAL])
