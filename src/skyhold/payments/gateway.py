"""The interface of a payment gateway: charges that are idempotent by key, and keys that can be closed for good."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from skyhold.domain.payments import PaymentCode


class ChargeResult(StrEnum):
    """The state of a key at the gateway after a call.

    approved and declined are final verdicts. closed: every charge is refused from now on, which is not a verdict on the
    payment. pending: the gateway has not decided yet; it is asked again under the same key.
    """

    APPROVED = "approved"
    DECLINED = "declined"
    CLOSED = "closed"
    PENDING = "pending"


@dataclass(frozen=True)
class GatewayAnswer:
    """The answer to a call: the state of the key, and the provider's own reference of the charge, if it has one."""

    result: ChargeResult
    reference: str | None = None


class GatewayError(Exception):
    """The outcome at the gateway is unknown; the call may be retried under the same key."""


@dataclass(frozen=True)
class StatementLine:
    """The entry of one key in the gateway's own books; a state of "pending" means that it has not decided yet."""

    key: uuid.UUID
    state: str
    amount_cents: int
    captures: int
    refunds: int


class PaymentGateway(Protocol):
    """A gateway. Everything is idempotent by key, and a caller that stops waiting does not stop the gateway."""

    async def charge(self, key: uuid.UUID, amount_cents: int, currency: str, code: PaymentCode) -> GatewayAnswer:
        """Charge once per key, however often it is called.

        Raises:
            GatewayError: the outcome is unknown.
        """
        ...

    async def close(self, key: uuid.UUID) -> GatewayAnswer:
        """Refuse every charge under the key from now on, unless it has a capture or is pending.

        The result is approved if it has a capture, pending if that is not decided yet, and otherwise closed.

        Raises:
            GatewayError: the outcome is unknown.
        """
        ...

    async def refund(self, key: uuid.UUID) -> None:
        """Refund a capture, once.

        Raises:
            GatewayError: the outcome is unknown.
        """
        ...

    async def statement(
        self, keys: Sequence[uuid.UUID] | None = None, *, after: uuid.UUID | None = None, limit: int = 1000
    ) -> list[StatementLine]:
        """Return the entries of these keys, or of all with a capture, sorted by key, after the key `after`."""
        ...
