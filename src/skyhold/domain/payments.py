"""Payments: the code that a customer types, the verdicts of a gateway, and the end of the attempts."""

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
    """The result of one charge request. A request that a crash cut off has no verdict and is not counted."""

    APPROVED = "approved"
    DECLINED = "declined"
    ERROR = "error"
    TIMEOUT = "timeout"


class PaymentState(StrEnum):
    """The state of an order's money.

    open: a charge is possible; captured: charged; closed: the gateway refuses every charge from now on;
    refund_due: charged although the order ended without its seats; refunded: paid back.
    """

    OPEN = "open"
    CAPTURED = "captured"
    CLOSED = "closed"
    REFUND_DUE = "refund_due"
    REFUNDED = "refunded"


def refusal_of(verdict: PaymentVerdict, *, verdicts: int, max_attempts: int) -> SkyholdError | None:
    """Return the refusal with which this verdict ends the payment, or None if it was approved or may be retried.

    `verdicts` includes this one.
    """
    if verdict is PaymentVerdict.DECLINED:
        return PaymentDeclined()
    if verdict is not PaymentVerdict.APPROVED and verdicts >= max_attempts:
        return PaymentFailed()
    return None
