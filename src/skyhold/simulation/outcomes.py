"""What came of a crowd: its orders by their ends, the refusals it heard, how long it waited, what must never happen.

It is counted while the crowd is under way, for whoever watches it, and told as a whole at the end.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from skyhold.simulation.replies import Act, Surprise

NEWS_KEPT = 8
SURPRISES_KEPT = 20
"""So many are told; all are counted."""

TIMED = (Act.HOLD, Act.CHANGE, Act.PAY)


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
    """How long the answers to one kind of command took; none if there were none."""

    count: int
    p50_ms: float | None
    p99_ms: float | None

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Latency:
        """Return the percentiles, each of them one of the values."""
        ranked = sorted(seconds)
        return cls(len(ranked), _percentile(ranked, 50), _percentile(ranked, 99))


@dataclass
class Outcomes:
    """The counts of one crowd."""

    open_orders: dict[str, State] = field(default_factory=dict)
    orders: Counter[State] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    changes: int = 0
    trips_without_seats: int = 0
    retries: int = 0
    surprises: int = 0
    told_surprises: list[str] = field(default_factory=list)
    news: deque[str] = field(default_factory=lambda: deque(maxlen=NEWS_KEPT))
    seconds: dict[Act, list[float]] = field(default_factory=lambda: {act: [] for act in TIMED})
    sold: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def conflicts(self) -> int:
        """How often somebody else was faster."""
        return self.refusals["SEATS_UNAVAILABLE"]

    def note(self, order_id: str, state: State) -> None:
        """Note where an order is now; of those that have ended only their number is kept."""
        if (before := self.open_orders.pop(order_id, None)) is not None:
            self.orders[before] -= 1
        self.orders[state] += 1
        if state not in ENDS:
            self.open_orders[order_id] = state

    def count(self, *states: State) -> int:
        """Return how many orders are in one of these states."""
        return sum(self.orders[state] for state in states)

    def took(self, act: Act, seconds: float) -> None:
        """Count how long a yes took."""
        if act in self.seconds:
            self.seconds[act].append(seconds)

    def surprise(self, surprise: Surprise) -> None:
        """Count what must never happen."""
        self.surprises += 1
        if len(self.told_surprises) < SURPRISES_KEPT:
            self.told_surprises.append(surprise.detail)

    def sell(self, flight_id: str, seats: Iterable[str], order_id: str) -> None:
        """Note whose these seats are for good.

        Raises:
            Surprise: one of them was sold to another order before.
        """
        twice = [seat for seat in seats if self.sold.setdefault((flight_id, seat), order_id) != order_id]
        if twice:
            raise Surprise(f"Sold twice on flight {flight_id}: {' '.join(twice)}.")

    def latencies(self) -> dict[Act, Latency]:
        """Return how long customers waited, by what they asked for."""
        return {act: Latency.of(seconds) for act, seconds in self.seconds.items()}


def _percentile(ranked: Sequence[float], percent: int) -> float | None:
    if not ranked:
        return None
    return round(ranked[math.ceil(len(ranked) * percent / 100) - 1] * 1000, 1)
