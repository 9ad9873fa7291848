"""The outcomes of a crowd: its orders by state, refusals, latencies, failures and contract violations.

They are counted while the crowd runs, and can be shown at any time.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from skyhold_local.simulation.replies import Act, ContractViolation, Refused, ResponseTime

EVENTS_KEPT = 8
VIOLATIONS_KEPT = 20
"""Number of latest events, and of violations' details, that are kept; all violations are counted."""

TIMED = (Act.HOLD, Act.CHANGE, Act.PAY)

CONFLICT = "SEATS_UNAVAILABLE"
"""The code of a refusal because other customers have the seats."""

ORDERS_KEPT = 20
"""Number of latest order ids that are kept; they identify the ledger behind the API."""


class State(StrEnum):
    """The state of an order of the crowd; all after `paying` are ends."""

    HELD = "held"
    PAYING = "paying"
    CONFIRMED = "confirmed"
    DECLINED = "declined"
    PAYMENT_FAILED = "paymentFailed"
    CANCELLED = "cancelled"
    RELEASED = "letGo"
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
    """Return the state of an order that has ended."""
    return _STATES_OF_STATUS.get(status) or _STATES_OF_FAILURE.get(failure_code or "", State.FAILED)


@dataclass(frozen=True)
class Latency:
    """Latency of one kind of reply; None where there was no reply.

    Measured from when the last request was sent; `total_max_ms` is measured from the first attempt and includes retries
    and the wait for a free connection of the crowd.
    """

    count: int
    p50_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    total_max_ms: float | None

    @classmethod
    def of(cls, times: Sequence[ResponseTime]) -> Latency:
        """Return the percentiles, each of them one of the values."""
        ranked = sorted(each.seconds for each in times)
        total = sorted(each.total_seconds for each in times)
        return cls(
            len(ranked),
            _percentile(ranked, 50),
            _percentile(ranked, 99),
            _percentile(ranked, 100),
            _percentile(total, 100),
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
    recent_events: deque[str] = field(default_factory=lambda: deque(maxlen=EVENTS_KEPT))
    success_times: dict[Act, list[ResponseTime]] = field(default_factory=lambda: {act: [] for act in TIMED})
    refusal_times: list[ResponseTime] = field(default_factory=list)
    sold: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def conflicts(self) -> int:
        """Number of refusals because other customers have the seats."""
        return self.refusals[CONFLICT]

    @property
    def retries(self) -> int:
        """Number of failures after which a request was retried."""
        return self.failures.total()

    def note(self, order_id: str, state: State) -> None:
        """Record the state of an order; of ended orders only the numbers are kept."""
        if (before := self.open_orders.pop(order_id, None)) is not None:
            self.orders[before] -= 1
        else:
            self.last_orders.append(order_id)
        self.orders[state] += 1
        if state not in ENDS:
            self.open_orders[order_id] = state

    def count(self, *states: State) -> int:
        """Return the number of orders in these states."""
        return sum(self.orders[state] for state in states)

    def record_success(self, act: Act, response_time: ResponseTime) -> None:
        """Record the response time of a successful command."""
        if act in self.success_times:
            self.success_times[act].append(response_time)

    def count_refusal(self, refused: Refused, name: str) -> None:
        """Count a refusal to the customer of this name, and record the response time of a conflict."""
        self.refusals[refused.code] += 1
        if refused.code == CONFLICT:
            self.refused_customers.add(name)
            self.refusal_times.append(refused.response_time)

    def count_violation(self, violation: ContractViolation) -> None:
        """Count a contract violation, and keep its detail if it is one of the first."""
        self.violations += 1
        if len(self.violation_details) < VIOLATIONS_KEPT:
            self.violation_details.append(violation.detail)

    def record_sale(self, flight_id: str, seats: Iterable[str], order_id: str) -> None:
        """Record that these seats are sold to this order.

        Raises:
            ContractViolation: one of them was sold to another order before.
        """
        twice = [seat for seat in seats if self.sold.setdefault((flight_id, seat), order_id) != order_id]
        if twice:
            raise ContractViolation(f"Sold twice on flight {flight_id}: {' '.join(twice)}.")

    def latencies(self) -> dict[str, Latency]:
        """Return the latencies of successful commands by act, and of conflicts as `refusal`."""
        successes = {act.value: Latency.of(times) for act, times in self.success_times.items()}
        return successes | {"refusal": Latency.of(self.refusal_times)}


def _percentile(ranked: Sequence[float], percent: int) -> float | None:
    if not ranked:
        return None
    return round(ranked[math.ceil(len(ranked) * percent / 100) - 1] * 1000, 1)
