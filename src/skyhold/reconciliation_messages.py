"""Messages of the reconciler: suspects, findings, repairs, and the inputs of the activities that only it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from skyhold.domain.orders import OrderStatus
from skyhold.domain.requests import NEVER
from skyhold.domain.seats import SeatKey
from skyhold.messages import Step


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

    step: Step = field(metadata=NEVER)
    amount_cents: int
    finding: str = field(metadata=NEVER)


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

    @property
    def seat(self) -> SeatKey:
        """The seat's key."""
        return SeatKey(self.flight_id, self.seat_id)


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
