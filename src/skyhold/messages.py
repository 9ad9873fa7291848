"""Messages sent through Temporal: names of workflows and messages, inputs and results of activities.

Activities take and return these dataclasses. Input from outside (start input, signals, updates) is untyped JSON, parsed
in `skyhold.domain.requests`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from skyhold.domain.errors import SkyholdError, error_named
from skyhold.domain.orders import FailureCode, Order, OrderStatus
from skyhold.domain.payments import PaymentCode
from skyhold.domain.requests import BookingRequest, SeatChange
from skyhold.domain.seats import SeatState

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
class ReserveSeats:
    """Hold these seats for a new order, if their total is the expected one."""

    step: Step
    flight_id: str
    seats: tuple[str, ...]
    guest_hash: str | None = None
    give_up_at: datetime | None = None
    expected_total_cents: int | None = None

    @classmethod
    def of(cls, step: Step, request: BookingRequest) -> Self:
        """Return the step that holds the seats of the booking request."""
        return cls(
            step,
            request.flight_id,
            request.seats,
            request.guest_hash,
            request.give_up_at,
            request.expected_total_cents,
        )


@dataclass(frozen=True)
class UpdateSeatSelection:
    """Give the order exactly these seats and its full time again, if their total is the expected one.

    `held` are the seats it has until then and `hold_seconds` its full time: both are used for the seat locks only.
    """

    step: Step
    flight_id: str
    held: tuple[str, ...]
    hold_seconds: float
    seats: tuple[str, ...]
    version: int | None = None
    give_up_at: datetime | None = None
    expected_total_cents: int | None = None

    @classmethod
    def of(cls, step: Step, order: Order, change: SeatChange) -> Self:
        """Return the step that changes the order's seats."""
        return cls(
            step,
            order.flight_id or "",
            order.seats,
            order.policy.hold_seconds,
            change.seats,
            change.version,
            change.give_up_at,
            change.expected_total_cents,
        )


@dataclass(frozen=True)
class RefreshSeatLocks:
    """Accept a payment: stop the clock and hold the seats for as long as a payment can take."""

    step: Step
    version: int | None = None
    give_up_at: datetime | None = None


@dataclass(frozen=True)
class ReleaseSeats:
    """Remove the seat locks of an order that ended without its seats."""

    order_id: str
    flight_id: str
    seats: tuple[str, ...]


@dataclass(frozen=True)
class ValidatePayment:
    """Charge the order's total at the gateway."""

    step: Step
    code: PaymentCode


@dataclass(frozen=True)
class ClosePayment:
    """Make the gateway either show the capture or refuse every later charge.

    `finding` is written to the order's log, here and in every message that has it: the reconciler's reason to send it.
    """

    step: Step
    finding: str | None = None


@dataclass(frozen=True)
class RefundPayment:
    """Pay the refund that is due according to the ledger."""

    order_id: str
    finding: str | None = None


@dataclass(frozen=True)
class ConfirmOrder:
    """Book the seats of a paid order."""

    step: Step


@dataclass(frozen=True)
class FailOrder:
    """End the order as failed and release its seats; with a version, only the seats of that version."""

    step: Step
    code: FailureCode
    reason: str
    version: int | None = None
    finding: str | None = None


@dataclass(frozen=True)
class ExpireOrder:
    """End the order if its time is up."""

    step: Step
    finding: str | None = None


class RepairKind(StrEnum):
    """The kinds of the reconciler's findings (docs/rules.md#the-reconciler).

    An open order is lost if its workflow is not running, and overdue if it is, more than a minute after it should have
    ended the order; a charge is stray if its order ended unpaid.
    """

    LOST_ORDER = "lostOrder"
    STUCK_WORKFLOW = "stuckWorkflow"
    OVERDUE_ORDER = "overdueOrder"
    WORKFLOW_WITHOUT_ORDER = "workflowWithoutOrder"
    REFUND_DUE = "refundDue"
    STRAY_CHARGE = "strayCharge"
    LOCK_WITHOUT_HOLD = "lockWithoutHold"
    HOLD_WITHOUT_LOCK = "holdWithoutLock"
    WRONG_LOCK = "wrongLock"


@dataclass(frozen=True)
class Repair:
    """One finding: its kind, its order if any, a description, and the result of the repair as a sentence."""

    trouble: RepairKind
    order_id: str | None
    detail: str
    is_mended: bool = False
    result: str = ""


@dataclass(frozen=True)
class TroubledOrder:
    """An order in trouble, as its row was before Temporal was queried.

    `step` is the next one, by which it is repaired unless another process was faster. `stray_cents` is the charge that
    the gateway shows and the ledger does not have.
    """

    trouble: RepairKind
    step: Step
    status: OrderStatus
    finding: str
    stray_cents: int = 0


@dataclass(frozen=True)
class OweRefund:
    """Record a refund due for an order that ended without seats but was charged by the gateway."""

    step: Step
    amount_cents: int
    finding: str


@dataclass(frozen=True)
class RunningWorkflow:
    """A run of a booking's workflow for which there may be no open order."""

    workflow_id: str
    run_id: str


@dataclass(frozen=True)
class SeatLockFault:
    """A seat whose lock does not match its hold; `owner` is the lock's value, None if the lock is missing."""

    flight_id: str
    seat_id: str
    owner: str | None


@dataclass(frozen=True)
class SeatLockRepair:
    """A repaired seat lock: the kind of fault, and the order that holds the seat, or else the one that had the lock."""

    trouble: RepairKind
    order_id: str


@dataclass(frozen=True)
class SurveyMoney:
    """Search for refunds due and for stray charges, the latter among orders of any age or those that ended recently."""

    is_whole: bool = False


@dataclass(frozen=True)
class Survey:
    """The suspects of a survey; each is examined individually before anything is repaired.

    `foreign_orders` counts open orders of other Temporal namespaces, by the namespace's id. `is_complete` is False if a
    limit or an unavailable server cut the survey short.
    """

    order_ids: tuple[str, ...] = ()
    workflows: tuple[RunningWorkflow, ...] = ()
    locks: tuple[SeatLockFault, ...] = ()
    foreign_orders: dict[str, int] = field(default_factory=dict)
    is_complete: bool = True


@dataclass(frozen=True)
class Reconciliation:
    """The result of one run of the reconciler."""

    findings: tuple[Repair, ...] = ()
    foreign_orders: dict[str, int] = field(default_factory=dict)
    is_complete: bool = True


def fingerprint(command: str, *arguments: Any) -> str:
    """Return a hash by which a repeated step is recognised: of its name and the arguments that identify it."""
    return hashlib.sha256(json.dumps([command, *arguments], default=str).encode()).hexdigest()[:32]
