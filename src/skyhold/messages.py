"""The words that cross Temporal: names of workflows, activities and messages, their inputs and their results.

Activities get and give these dataclasses. What arrives from outside (start input, signals, updates) is untyped JSON
and becomes a word in `skyhold.domain.requests`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from skyhold.domain.errors import ERRORS, SkyholdError
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
"""The signal by which a payment activity tells its own workflow which attempt is under way."""

STATUS_ATTRIBUTE = "SkyholdOrderStatus"
"""The search attribute with an ended order's status, used only where it is registered."""


def workflow_id_of(order_id: str) -> str:
    """Return the only workflow id under which an order can be booked."""
    return f"{_WORKFLOW_PREFIX}{order_id}"


def order_id_of(workflow_id: str) -> str:
    """Return the id of the order that a workflow with this id books."""
    return workflow_id.removeprefix(_WORKFLOW_PREFIX)


@dataclass(frozen=True)
class Step:
    """Who asks for a change of an order, and as which step (docs/rules.md#the-fence).

    `chain` is the first run id of the execution chain: a reset keeps it, a second start has another. `number` is that
    of the ledger's order as its workflow last saw it, plus one.
    """

    order_id: str
    workflow_id: str
    chain: str
    number: int


class Outcome(StrEnum):
    """What a step came to.

    done: applied, now or when it was first asked. refused: a rule said no. open: a payment step is between its two
    transactions and may run again. stale: the ledger's order is elsewhere, nothing changed. taken: the order is another
    chain's.
    """

    DONE = "done"
    REFUSED = "refused"
    OPEN = "open"
    STALE = "stale"
    TAKEN = "taken"


@dataclass(frozen=True)
class Refusal:
    """A domain error on its way through Temporal or the ledger: its class name, its sentence, its facts."""

    error: str
    detail: str
    fields: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, error: SkyholdError) -> Refusal:
        """Return the error in a form that can be stored and sent."""
        return cls(type(error).__name__, error.detail, error.fields)

    def to_error(self) -> SkyholdError:
        """Return the error again."""
        return ERRORS[self.error](self.detail, **self.fields)


@dataclass(frozen=True)
class Answer:
    """What a step was answered, and the ledger's order as read in that transaction (none if it is not ours).

    `has_status_attribute` says that the search attribute for the status was registered when the worker that answered
    began: only then may the workflow write it, since one that is not registered fails its task for ever.

    `changed_seats` are those whose owner or status the step changed, None if it was answered before and nobody knows
    any more. They are for the activity, which publishes them and keeps them out of Temporal's history.
    """

    outcome: Outcome
    refusal: Refusal | None = None
    order: Order | None = None
    has_status_attribute: bool = False
    changed_seats: tuple[SeatState, ...] | None = ()


@dataclass(frozen=True)
class ReserveSeats:
    """Hold these seats for a new order, if they cost what was expected."""

    step: Step
    flight_id: str
    seats: tuple[str, ...]
    guest_hash: str | None = None
    give_up_at: datetime | None = None
    expected_total_cents: int | None = None

    @classmethod
    def of(cls, step: Step, request: BookingRequest) -> Self:
        """Return the step that holds what the booking was started with."""
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
    """Give the order exactly these seats and its full time again, if they cost what was expected.

    `held` are the seats it has until then and `hold_seconds` its full time: both for the seat locks alone.
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
    """Ask the gateway for the order's total."""

    step: Step
    code: PaymentCode


@dataclass(frozen=True)
class ClosePayment:
    """Make the gateway either show the capture or refuse every later charge.

    `finding` is for the order's log, here as in the others that have one: why the reconciler asks, and not the booking.
    """

    step: Step
    finding: str | None = None


@dataclass(frozen=True)
class RefundPayment:
    """Give back the money that the ledger says is due."""

    order_id: str
    finding: str | None = None


@dataclass(frozen=True)
class ConfirmOrder:
    """Book the seats of a paid order."""

    step: Step


@dataclass(frozen=True)
class FailOrder:
    """End the order as failed and give its seats back; with a version, only the seats of that version."""

    step: Step
    code: FailureCode
    reason: str
    version: int | None = None
    finding: str | None = None


@dataclass(frozen=True)
class ExpireOrder:
    """Ask whether the order's time is up, and end it if so."""

    step: Step
    finding: str | None = None


class Trouble(StrEnum):
    """What the reconciler finds (docs/rules.md#the-reconciler).

    An order is lost if it is open and no workflow of its is running, and overdue if one is, more than a minute after it
    should have ended it; a charge is stray if its order ended unpaid.
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
class Finding:
    """One trouble that was found, the order it is about if any, and a sentence of what came of it."""

    trouble: Trouble
    order_id: str | None
    detail: str
    is_mended: bool = False
    result: str = ""


@dataclass(frozen=True)
class TroubledOrder:
    """An order that no workflow looks after, as its row was before Temporal said so.

    `step` is the one that may mend it, if nobody was faster. `stray_cents` is what the gateway has of it, if the ledger
    thinks that there is nothing.
    """

    trouble: Trouble
    step: Step
    status: OrderStatus
    finding: str
    stray_cents: int = 0


@dataclass(frozen=True)
class OweRefund:
    """Write down that an order which ended without seats is owed what the gateway took."""

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
    """A seat whose lock and whose hold do not fit each other; `owner` is the lock's value, None if it is missing."""

    flight_id: str
    seat_id: str
    owner: str | None


@dataclass(frozen=True)
class SeatLockRepair:
    """What was wrong with a seat's lock, and the order that it is about: who holds the seat, else who had the lock."""

    trouble: Trouble
    order_id: str


@dataclass(frozen=True)
class SurveyMoney:
    """Look for money that is not where it should be: of orders of any age, or of those that ended lately."""

    is_whole: bool = False


@dataclass(frozen=True)
class Survey:
    """What looks wrong from afar; each is examined by itself before anything is done about it.

    `foreign_orders` counts open orders of other Temporal namespaces, by the namespace's id. `is_complete` says that no
    limit cut it short.
    """

    order_ids: tuple[str, ...] = ()
    workflows: tuple[RunningWorkflow, ...] = ()
    locks: tuple[SeatLockFault, ...] = ()
    foreign_orders: dict[str, int] = field(default_factory=dict)
    is_complete: bool = True


@dataclass(frozen=True)
class Reconciliation:
    """What one run of the reconciler found and did."""

    findings: tuple[Finding, ...] = ()
    foreign_orders: dict[str, int] = field(default_factory=dict)
    is_complete: bool = True


def fingerprint(command: str, *arguments: Any) -> str:
    """Return that by which a step is known again: its name and those arguments that make it what it is."""
    return hashlib.sha256(json.dumps([command, *arguments], default=str).encode()).hexdigest()[:32]
