"""What came of a crowd: its orders by their ends, the refusals it heard, how long it waited, what must never happen.

It is counted while the crowd is under way, for whoever watches it, and told as a whole at the end.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from skyhold_local.simulation.replies import Act, ContractViolation, Refused, Waited

NEWS_KEPT = 8
VIOLATIONS_KEPT = 20
"""So many are told; all are counted."""

TIMED = (Act.HOLD, Act.CHANGE, Act.PAY)

CONFLICT = "SEATS_UNAVAILABLE"
"""The code of the no to whoever was too late."""

ORDERS_KEPT = 20
"""So many orders' ids are kept, the last ones: whoever looks for the ledger behind the API knows it by them."""


class State(StrEnum):
    """Where an order of the crowd is; what comes after `paying` is an end."""

    HELD = "held"
    PAYING = "paying"
    CONFIRMED = "confirmed"
    DECLINED = "declined"
    PAYMENT_FAILED = "paymentFailed"
    CANCELLED = "cancelled"
    LET_GO = "letGo"
    EXPIRED = "expired"
    FAILED = "failed"


ENDS = tuple(State)[2:]

_STATES_OF_STATUS = {"CONFIRMED": State.CONFIRMED, "EXPIRED": State.EXPIRED}
_STATES_OF_FAILURE = {
    "PAYMENT_DECLINED": State.DECLINED,
    "PAYMENT_FAILED": State.PAYMENT_FAILED,
    "CANCELLED": State.CANCELLED,
}


def state_of(status: str, failure_code: str | None) -> State:
    """Return which end an order has come to."""
    return _STATES_OF_STATUS.get(status) or _STATES_OF_FAILURE.get(failure_code or "", State.FAILED)


@dataclass(frozen=True)
class Latency:
    """How long the answers to one kind of command took; none if there were none.

    Counted from when the request was sent; `whole_max_ms` counts from when the customer wanted to ask, and so has the
    wait for a free connection of the crowd's own in it, and all that had to be asked again.
    """

    count: int
    p50_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    whole_max_ms: float | None

    @classmethod
    def of(cls, waits: Sequence[Waited]) -> Latency:
        """Return the percentiles, each of them one of the values."""
        ranked = sorted(waited.seconds for waited in waits)
        whole = sorted(waited.whole_seconds for waited in waits)
        return cls(
            len(ranked),
            _percentile(ranked, 50),
            _percentile(ranked, 99),
            _percentile(ranked, 100),
            _percentile(whole, 100),
        )


@dataclass
class Outcomes:
    """The counts of one crowd.

    `refused_customers` got at least one seat conflict, `holders` have held seats, `winners` have bought some.
    """

    open_orders: dict[str, State] = field(default_factory=dict)
    orders: Counter[State] = field(default_factory=Counter)
    last_orders: deque[str] = field(default_factory=lambda: deque(maxlen=ORDERS_KEPT))
    refusals: Counter[str] = field(default_factory=Counter)
    refused_customers: set[str] = field(default_factory=set)
    holders: set[str] = field(default_factory=set)
    winners: set[str] = field(default_factory=set)
    changes: int = 0
    returns: int = 0
    trips_without_seats: int = 0
    ended_by_others: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    violations: int = 0
    violation_details: list[str] = field(default_factory=list)
    news: deque[str] = field(default_factory=lambda: deque(maxlen=NEWS_KEPT))
    waits: dict[Act, list[Waited]] = field(default_factory=lambda: {act: [] for act in TIMED})
    refusal_waits: list[Waited] = field(default_factory=list)
    sold: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def conflicts(self) -> int:
        """How often somebody else was faster."""
        return self.refusals[CONFLICT]

    @property
    def retries(self) -> int:
        """How often something had to be asked again because it was not answered."""
        return self.failures.total()

    def note(self, order_id: str, state: State) -> None:
        """Note where an order is now; of those that have ended only their number is kept."""
        if (before := self.open_orders.pop(order_id, None)) is not None:
            self.orders[before] -= 1
        else:
            self.last_orders.append(order_id)
        self.orders[state] += 1
        if state not in ENDS:
            self.open_orders[order_id] = state

    def count(self, *states: State) -> int:
        """Return how many orders are in one of these states."""
        return sum(self.orders[state] for state in states)

    def took(self, act: Act, waited: Waited) -> None:
        """Count how long a yes took."""
        if act in self.waits:
            self.waits[act].append(waited)

    def refuse(self, refused: Refused, name: str) -> None:
        """Count a no to the customer of this name, and how long it took if somebody was faster."""
        self.refusals[refused.code] += 1
        if refused.code == CONFLICT:
            self.refused_customers.add(name)
            self.refusal_waits.append(refused.waited)

    def count_violation(self, violation: ContractViolation) -> None:
        """Count what must never happen."""
        self.violations += 1
        if len(self.violation_details) < VIOLATIONS_KEPT:
            self.violation_details.append(violation.detail)

    def sell(self, flight_id: str, seats: Iterable[str], order_id: str) -> None:
        """Note whose these seats are for good.

        Raises:
            ContractViolation: one of them was sold to another order before.
        """
        twice = [seat for seat in seats if self.sold.setdefault((flight_id, seat), order_id) != order_id]
        if twice:
            raise ContractViolation(f"Sold twice on flight {flight_id}: {' '.join(twice)}.")

    def latencies(self) -> dict[str, Latency]:
        """Return how long customers waited: for a yes by what they asked for, and for the no of who was too late."""
        granted = {act.value: Latency.of(waits) for act, waits in self.waits.items()}
        return granted | {"refusal": Latency.of(self.refusal_waits)}


def _percentile(ranked: Sequence[float], percent: int) -> float | None:
    if not ranked:
        return None
    return round(ranked[math.ceil(len(ranked) * percent / 100) - 1] * 1000, 1)
