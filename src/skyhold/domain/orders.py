"""Orders: their states and the legal ways between them, the policy an order keeps, and what the ledger knows of one."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from skyhold.domain.errors import HoldExpired, OrderChanged, OrderClosed, SkyholdError, TooManyChanges
from skyhold.domain.holds import longest_payment
from skyhold.domain.payments import PaymentState, PaymentVerdict

MAX_CHANGES = 200
"""How often the seats of one order may change (docs/rules.md#seats)."""

REFERENCE_ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
REFERENCE_LENGTH = 6

_ORDER_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class OrderStatus(StrEnum):
    """The states of an order."""

    CREATED = "CREATED"
    SEATS_RESERVED = "SEATS_RESERVED"
    PAYMENT_PENDING = "PAYMENT_PENDING"
    PAYMENT_PROCESSING = "PAYMENT_PROCESSING"
    CONFIRMED = "CONFIRMED"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"

    @property
    def is_terminal(self) -> bool:
        """Whether the order has ended."""
        return self in TERMINAL

    @property
    def is_paying(self) -> bool:
        """Whether a payment has been accepted and not come to its end."""
        return self in PAYING


class FailureCode(StrEnum):
    """Why an order FAILED."""

    SEATS_UNAVAILABLE = "SEATS_UNAVAILABLE"
    FLIGHT_NOT_FOUND = "FLIGHT_NOT_FOUND"
    FLIGHT_DEPARTED = "FLIGHT_DEPARTED"
    INVALID_SEATS = "INVALID_SEATS"
    INVALID_REQUEST = "INVALID_REQUEST"
    ORDER_ID_TAKEN = "ORDER_ID_TAKEN"
    HOLD_LIMIT = "HOLD_LIMIT"
    PRICE_CHANGED = "PRICE_CHANGED"
    CANCELLED = "CANCELLED"
    PAYMENT_DECLINED = "PAYMENT_DECLINED"
    PAYMENT_FAILED = "PAYMENT_FAILED"
    SEATS_LOST = "SEATS_LOST"
    REFUNDED = "REFUNDED"
    INTERNAL = "INTERNAL"


TERMINAL = frozenset({OrderStatus.CONFIRMED, OrderStatus.FAILED, OrderStatus.EXPIRED})
PAYING = frozenset({OrderStatus.PAYMENT_PENDING, OrderStatus.PAYMENT_PROCESSING})
HOLDING = frozenset({OrderStatus.SEATS_RESERVED}) | PAYING

TRANSITIONS: dict[OrderStatus, frozenset[OrderStatus]] = {
    OrderStatus.CREATED: frozenset({OrderStatus.SEATS_RESERVED, OrderStatus.FAILED}),
    OrderStatus.SEATS_RESERVED: frozenset({OrderStatus.PAYMENT_PENDING, OrderStatus.EXPIRED, OrderStatus.FAILED}),
    OrderStatus.PAYMENT_PENDING: frozenset({OrderStatus.PAYMENT_PROCESSING, OrderStatus.FAILED}),
    OrderStatus.PAYMENT_PROCESSING: frozenset({OrderStatus.CONFIRMED, OrderStatus.FAILED}),
    OrderStatus.CONFIRMED: frozenset({OrderStatus.FAILED}),
    OrderStatus.FAILED: frozenset(),
    OrderStatus.EXPIRED: frozenset(),
}
"""Where an order may go from each status. The ledger's trigger holds the same table; a test compares the two."""


def can_become(before: OrderStatus, after: OrderStatus, *, failure_code: FailureCode | None = None) -> bool:
    """Say whether an order may go from one status to another; a confirmed one fails only as REFUNDED."""
    if before is OrderStatus.CONFIRMED and failure_code is not FailureCode.REFUNDED:
        return False
    return after in TRANSITIONS[before]


@dataclass(frozen=True)
class Policy:
    """The settings that an order began with and keeps, whatever the settings become (docs/rules.md#policy)."""

    hold_seconds: float = 900.0
    max_lifetime_seconds: float = 10800.0
    max_seats: int = 9
    max_holds: int = 5
    max_changes: int = MAX_CHANGES
    payment_limit_seconds: float = 10.0
    payment_attempts: int = 3

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Policy:
        """Return the policy that the ledger keeps; what another version of this class knew besides is left out."""
        known = {known.name for known in fields(cls)}
        return cls(**{name: setting for name, setting in value.items() if name in known})

    @property
    def hold_time(self) -> timedelta:
        """How long seats are held without a payment."""
        return timedelta(seconds=self.hold_seconds)

    @property
    def max_lifetime(self) -> timedelta:
        """How long seats can be held by changing them again and again."""
        return timedelta(seconds=self.max_lifetime_seconds)

    @property
    def payment_limit(self) -> timedelta:
        """How long the gateway may take for one attempt."""
        return timedelta(seconds=self.payment_limit_seconds)

    @property
    def longest_payment(self) -> timedelta:
        """How long seats must be held from the moment a payment was accepted."""
        return longest_payment(attempts=self.payment_attempts, attempt_limit=self.payment_limit)


@dataclass(frozen=True)
class Order:
    """An order as the ledger had it in the transaction that read it.

    `step` numbers the last command that was judged; `version` is raised by every change of the seats;
    `left_seconds` is what was left of the hold by PostgreSQL's clock; `payment_attempts` counts verdicts.
    """

    id: str
    status: OrderStatus = OrderStatus.CREATED
    step: int = 0
    version: int = 0
    flight_id: str | None = None
    seats: tuple[str, ...] = ()
    total_cents: int = 0
    currency: str | None = None
    expires_at: datetime | None = None
    max_expires_at: datetime | None = None
    left_seconds: float = 0.0
    changes: int = 0
    payment: PaymentState = PaymentState.OPEN
    payment_attempts: int = 0
    last_verdict: PaymentVerdict | None = None
    failure_code: FailureCode | None = None
    failure_reason: str | None = None
    reference: str | None = None
    policy: Policy = field(default_factory=Policy)


def is_order_id(text: object) -> bool:
    """Say whether an order can have this id at all."""
    return isinstance(text, str) and _ORDER_ID.fullmatch(text) is not None


def require_version(version: int, *, wanted: int | None) -> None:
    """Refuse a command that was meant for other seats than the order has.

    Raises:
        OrderChanged: a version was wanted and the order has another, which is told.
    """
    if wanted is not None and wanted != version:
        raise OrderChanged(version=version)


def require_changes_left(changes: int, policy: Policy) -> None:
    """Refuse a change of seats beyond those that the order's policy allows.

    Raises:
        TooManyChanges: they are used up.
    """
    if changes >= policy.max_changes:
        raise TooManyChanges(limit=policy.max_changes)


def refusal_when_closed(status: OrderStatus) -> SkyholdError:
    """Return why a command comes too late for an order with this terminal status.

    Whether the change of a lapsed hold meets the ledger a moment before or after the order expired, it hears the same.
    """
    return HoldExpired() if status is OrderStatus.EXPIRED else OrderClosed()


def new_reference() -> str:
    """Return a booking reference; unique only by the ledger's constraint, so a clash is answered by another try."""
    return "".join(secrets.choice(REFERENCE_ALPHABET) for _ in range(REFERENCE_LENGTH))
