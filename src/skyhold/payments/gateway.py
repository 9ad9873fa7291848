"""What Skyhold asks of a payment gateway: charges that are idempotent by key, and a key that can be closed for ever."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from skyhold.domain.payments import PaymentCode


class ChargeResult(StrEnum):
    """What a charge came to. approved and declined are final under a key; closed is no verdict on the payment."""

    APPROVED = "approved"
    DECLINED = "declined"
    CLOSED = "closed"


class GatewayError(Exception):
    """The gateway could not say what became of a charge; it may be asked again under the same key."""


@dataclass(frozen=True)
class StatementLine:
    """What the gateway's own books say of one key."""

    key: uuid.UUID
    state: str
    amount_cents: int
    captures: int
    refunds: int


class PaymentGateway(Protocol):
    """A gateway. Everything is idempotent by key, and a caller that stops waiting does not stop the gateway."""

    async def charge(self, key: uuid.UUID, amount_cents: int, currency: str, code: PaymentCode) -> ChargeResult:
        """Take the money once, however often it is asked.

        Raises:
            GatewayError: the outcome is unknown.
        """
        ...

    async def close(self, key: uuid.UUID) -> bool:
        """Say whether the key has a capture; if not, refuse every charge under it from now on.

        Raises:
            GatewayError: the outcome is unknown.
        """
        ...

    async def refund(self, key: uuid.UUID) -> None:
        """Give a capture back, once.

        Raises:
            GatewayError: the outcome is unknown.
        """
        ...

    async def statement(
        self, keys: Sequence[uuid.UUID] | None = None, *, after: uuid.UUID | None = None, limit: int = 1000
    ) -> list[StatementLine]:
        """Return what the books say of these keys, or of all that moved money, by key, after this one."""
        ...
