"""Messages sent through Temporal for bookings: names, and inputs and results of activities.

Activities take and return these dataclasses. Input from outside (start input, signals, updates) is untyped JSON, parsed
in `skyhold.domain.requests`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from skyhold.domain.errors import SkyholdError, error_named
from skyhold.domain.orders import FailureCode, Order, OrderStatus
from skyhold.domain.payments import PaymentCode
from skyhold.domain.requests import NEVER, HoldRequest, SeatChange, identifying_values, rfc3339
from skyhold.domain.seats import SeatKey, SeatState, keys_of

TASK_QUEUE = "booking-queue"
BOOKING_WORKFLOW = "BookingWorkflow"
RECONCILIATION_WORKFLOW = "ReconciliationWorkflow"

_WORKFLOW_PREFIX = "booking-"

UPDATE_SEATS = "update-seats"
PROCEED_TO_PAYMENT = "proceed-to-payment"
CANCEL_BOOKING = "cancel-booking"
AWAIT_HOLD = "await-hold"
BOOKING_STATUS = "booking-status"
FAILING_STEP = "failing-step"
"""The query for the step that fails now, for operators and the reconciler."""

PAYMENT_ATTEMPT = "payment-attempt"
"""The signal by which a payment activity sends the number of its attempt to its own workflow."""

STATUS_ATTRIBUTE = "SkyholdOrderStatus"
"""The search attribute with the status of an ended order, used only where it is registered."""


def workflow_id_of(order_id: str) -> str:
    """Return the only workflow id under which an order can be booked."""
    return f"{_WORKFLOW_PREFIX}{order_id}"


def order_id_of(workflow_id: str) -> str:
    """Return the id of the order that a workflow with this id books."""
    return workflow_id.removeprefix(_WORKFLOW_PREFIX)


@dataclass(frozen=True)
class Step:
    """The sender and the step number of an order's change (docs/rules.md#the-fence).

    `chain` is the first run id of the execution chain: a reset keeps it, a second start has another. `number` is the
    step of the ledger's order as its workflow last read it, plus one.
    """

    order_id: str
    workflow_id: str
    chain: str
    number: int


class Outcome(StrEnum):
    """The outcome of a step.

    done: applied, now or at the first request. refused: a rule refused it. open: a payment step is between its two
    transactions and may run again. stale: the ledger's order is at another step, nothing changed. taken: the order
    belongs to another chain.
    """

    DONE = "done"
    REFUSED = "refused"
    OPEN = "open"
    STALE = "stale"
    NOT_OWNER = "taken"


@dataclass(frozen=True)
class Refusal:
    """A domain error as stored in the ledger and sent through Temporal: its class name, its sentence, its facts."""

    error: str
    detail: str
    fields: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, error: SkyholdError) -> Refusal:
        """Return the error in a form that can be stored and sent."""
        return cls(type(error).__name__, error.detail, error.fields)

    def to_error(self) -> SkyholdError:
        """Return the domain error."""
        error = error_named(self.error)
        if error is None:
            raise LookupError(f"an unknown refusal: {self.error}")
        return error(self.detail, **self.fields)


@dataclass(frozen=True)
class Answer:
    """The answer to a step, with the ledger's order as read in that transaction (none if another chain owns it).

    `has_status_attribute` means that the search attribute for the status was registered when the answering worker
    started: only then may the workflow write it, since one that is not registered fails its task again and again.

    `changed_seats` are those whose owner or status the step changed, None if the stored answer was returned, which does
    not contain them. They are for the activity, which publishes them and keeps them out of Temporal's history.
    """

    outcome: Outcome
    refusal: Refusal | None = None
    order: Order | None = None
    has_status_attribute: bool = False
    changed_seats: tuple[SeatState, ...] | None = ()


@dataclass(frozen=True)
class OrderReply:
    """The reply to a command: the order with the values that the ledger has after the command."""

    order_id: str
    flight_id: str | None
    status: OrderStatus
    seats: tuple[str, ...]
    total_price_cents: int
    currency: str | None
    version: int
    expires_at: datetime | None
    max_expires_at: datetime | None

    @classmethod
    def of(cls, order: Order) -> Self:
        """Return the reply that shows this order."""
        return cls(
            order_id=order.id,
            flight_id=order.flight_id,
            status=order.status,
            seats=order.seats,
            total_price_cents=order.total_cents,
            currency=order.currency,
            version=order.version,
            expires_at=order.expires_at,
            max_expires_at=order.max_expires_at,
        )

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return the reply that a booking wrote.

        Raises:
            KeyError, TypeError, ValueError: it is not one.
        """
        return cls(
            order_id=value["orderId"],
            flight_id=value["flightId"],
            status=OrderStatus(value["status"]),
            seats=tuple(value["seats"]),
            total_price_cents=value["totalPriceCents"],
            currency=value["currency"],
            version=value["version"],
            expires_at=_instant(value["expiresAt"]),
            max_expires_at=_instant(value["maxExpiresAt"]),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the payload of the reply."""
        return {
            "orderId": self.order_id,
            "flightId": self.flight_id,
            "status": self.status.value,
            "seats": list(self.seats),
            "totalPriceCents": self.total_price_cents,
            "currency": self.currency,
            "version": self.version,
            "expiresAt": rfc3339(self.expires_at),
            "maxExpiresAt": rfc3339(self.max_expires_at),
        }


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text is not None else None


@dataclass(frozen=True)
class ReserveSeats:
    """Hold the seats of a new order, if their total is the expected one."""

    step: Step = field(metadata=NEVER)
    hold: HoldRequest


@dataclass(frozen=True)
class UpdateSeatSelection:
    """Give the order exactly the seats of the change and its full time again, if their total is the expected one.

    `held` are the seats it has until then and `hold_seconds` its full time: both are used for the seat locks only.
    """

    step: Step = field(metadata=NEVER)
    flight_id: str = field(metadata=NEVER)
    held: tuple[str, ...] = field(metadata=NEVER)
    hold_seconds: float = field(metadata=NEVER)
    change: SeatChange

    @classmethod
    def of(cls, step: Step, order: Order, change: SeatChange) -> Self:
        """Return the step that changes the order's seats."""
        return cls(step, order.flight_id or "", order.seats, order.policy.hold_seconds, change)

    @property
    def wanted_keys(self) -> tuple[SeatKey, ...]:
        """The keys of the seats that the order is to have."""
        return keys_of(self.flight_id, self.change.seats)

    @property
    def dropped_keys(self) -> tuple[SeatKey, ...]:
        """The keys of the seats that the order has and does not keep."""
        return keys_of(self.flight_id, set(self.held).difference(self.change.seats))


@dataclass(frozen=True)
class RefreshSeatLocks:
    """Accept a payment: stop the clock and hold the seats for as long as a payment can take."""

    step: Step = field(metadata=NEVER)
    version: int | None = None
    deadline: datetime | None = field(default=None, metadata=NEVER)


@dataclass(frozen=True)
class ReleaseSeats:
    """Remove the seat locks of an order that ended without its seats."""

    order_id: str
    flight_id: str
    seats: tuple[str, ...]

    @property
    def keys(self) -> tuple[SeatKey, ...]:
        """The keys of the seats."""
        return keys_of(self.flight_id, self.seats)


@dataclass(frozen=True)
class ValidatePayment:
    """Charge the order's total at the gateway."""

    step: Step = field(metadata=NEVER)
    code: PaymentCode = field(metadata=NEVER)


@dataclass(frozen=True)
class ClosePayment:
    """Make the gateway either show the capture or refuse every later charge.

    `finding` is written to the order's log, here and in every message that has it: the reconciler's reason to send it.
    """

    step: Step = field(metadata=NEVER)
    finding: str | None = field(default=None, metadata=NEVER)


@dataclass(frozen=True)
class RefundPayment:
    """Pay the refund that is due according to the ledger."""

    order_id: str
    finding: str | None = None


@dataclass(frozen=True)
class ConfirmOrder:
    """Book the seats of a paid order."""

    step: Step = field(metadata=NEVER)


@dataclass(frozen=True)
class FailOrder:
    """End the order as failed and release its seats; with a version, only the seats of that version."""

    step: Step = field(metadata=NEVER)
    code: FailureCode
    reason: str = field(metadata=NEVER)
    version: int | None = None
    finding: str | None = field(default=None, metadata=NEVER)


@dataclass(frozen=True)
class ExpireOrder:
    """End the order if its time is up."""

    step: Step = field(metadata=NEVER)
    finding: str | None = field(default=None, metadata=NEVER)


def fingerprint(message: Any) -> str:
    """Return a hash by which a repeated step is recognised: of its name and the values that identify it."""
    named = [type(message).__name__, *identifying_values(message)]
    return hashlib.sha256(json.dumps(named, default=str).encode()).hexdigest()[:32]
