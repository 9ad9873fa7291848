"""Orders: their states and legal transitions, the policy an order keeps, and its data as read from the ledger."""

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
from skyhold.domain.seats import SeatKey, keys_of

MAX_CHANGES = 200
"""Maximum number of seat changes of one order (docs/rules.md#seats)."""

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
        """True once the order has ended."""
        return self in TERMINAL

    @property
    def is_paying(self) -> bool:
        """True while a payment is accepted and not yet finished."""
        return self in PAYING


class FailureCode(StrEnum):
    """The reason why an order FAILED."""

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
"""The statuses that may follow each status. The ledger's trigger holds the same table; a test compares the two."""


def can_become(before: OrderStatus, after: OrderStatus, *, failure_code: FailureCode | None = None) -> bool:
    """Return whether an order may go from one status to another; a confirmed one fails only as REFUNDED."""
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
        """Return the policy stored in the ledger; settings known only to another version of this class are ignored."""
        known = {known.name for known in fields(cls)}
        return cls(**{name: setting for name, setting in value.items() if name in known})

    @property
    def hold_time(self) -> timedelta:
        """Time that seats are held without a payment."""
        return timedelta(seconds=self.hold_seconds)

    @property
    def max_lifetime(self) -> timedelta:
        """Time that seats can be held at most by repeated changes."""
        return timedelta(seconds=self.max_lifetime_seconds)

    @property
    def payment_limit(self) -> timedelta:
        """Time limit of one payment attempt at the gateway."""
        return timedelta(seconds=self.payment_limit_seconds)

    @property
    def longest_payment(self) -> timedelta:
        """Time that seats must be held from the moment a payment is accepted."""
        return longest_payment(attempts=self.payment_attempts, attempt_limit=self.payment_limit)


@dataclass(frozen=True)
class Order:
    """An order as the ledger had it in the transaction that read it.

    `step` is the number of the last command that was judged; `version` is raised by every change of the seats;
    `left_seconds` is the rest of the hold by PostgreSQL's clock; `payment_attempts` counts verdicts.
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

    @property
    def keys(self) -> tuple[SeatKey, ...]:
        """The keys of the order's seats."""
        return keys_of(self.flight_id, self.seats)


def is_order_id(text: object) -> bool:
    """Return whether an order can have this id."""
    return isinstance(text, str) and _ORDER_ID.fullmatch(text) is not None


def require_version(version: int, *, wanted: int | None) -> None:
    """Refuse a command that was meant for other seats than the order has.

    Raises:
        OrderChanged: a version was wanted and the order has another, which the error contains.
    """
    if wanted is not None and wanted != version:
        raise OrderChanged(version=version)


def require_changes_left(changes: int, policy: Policy) -> None:
    """Refuse a change of seats beyond the number that the order's policy allows.

    Raises:
        TooManyChanges: they are used up.
    """
    if changes >= policy.max_changes:
        raise TooManyChanges(limit=policy.max_changes)


def refusal_when_closed(status: OrderStatus) -> SkyholdError:
    """Return the refusal of a command that arrives after the order reached this terminal status.

    A change of a lapsed hold is refused in the same way just before and just after the order expires.
    """
    return HoldExpired() if status is OrderStatus.EXPIRED else OrderClosed()


def new_reference() -> str:
    """Return a random booking reference; only the ledger's constraint makes it unique, so a clash needs a retry."""
    return "".join(secrets.choice(REFERENCE_ALPHABET) for _ in range(REFERENCE_LENGTH))
