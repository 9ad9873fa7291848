"""Payments: the code a customer types, the verdicts of a gateway, and when an order has been asked for often enough."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from skyhold.domain.errors import InvalidPaymentCode, PaymentDeclined, PaymentFailed, SkyholdError

_CODE = re.compile(r"[0-9]{5}")


@dataclass(frozen=True)
class PaymentCode:
    """The 5 digits a customer typed. Card data: no repr, no log and no error shows them."""

    digits: str = field(repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.digits, str) or not _CODE.fullmatch(self.digits):
            raise InvalidPaymentCode(errors=[{"pointer": "/paymentCode", "detail": "must be a text of 5 digits"}])


def parse_payment_code(value: Any) -> PaymentCode:
    """Return the code that a payload carries.

    Raises:
        InvalidPaymentCode: it is not a text of 5 digits.
    """
    return PaymentCode(value)


class PaymentVerdict(StrEnum):
    """What one asking of the gateway came to. An asking that a crash cut off has none and counts for nothing."""

    APPROVED = "approved"
    DECLINED = "declined"
    ERROR = "error"
    TIMEOUT = "timeout"


class PaymentState(StrEnum):
    """Where the money of an order is.

    open: a charge is possible; captured: taken; closed: the gateway refuses every charge from now on;
    refund_due: taken from an order that failed; refunded: given back.
    """

    OPEN = "open"
    CAPTURED = "captured"
    CLOSED = "closed"
    REFUND_DUE = "refund_due"
    REFUNDED = "refunded"


def refusal_of(verdict: PaymentVerdict, *, verdicts: int, max_attempts: int) -> SkyholdError | None:
    """Return why this verdict ends the payment without money, or None if it was approved or may be asked again.

    `verdicts` counts this one.
    """
    if verdict is PaymentVerdict.DECLINED:
        return PaymentDeclined()
    if verdict is not PaymentVerdict.APPROVED and verdicts >= max_attempts:
        return PaymentFailed()
    return None
