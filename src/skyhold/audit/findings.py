"""The results of the audit: violated invariants with their orders, and invariants that could not be checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum


class Invariant(StrEnum):
    """The invariants (docs/rules.md#invariants)."""

    I1 = "I1"
    I2 = "I2"
    I3 = "I3"
    I4 = "I4"
    I5 = "I5"
    I6 = "I6"
    I7 = "I7"

    @property
    def rule(self) -> str:
        """The invariant in a sentence."""
        return _RULES[self]

    @property
    def remedy(self) -> str:
        """The repair of a violation that remains after a run of the reconciler, and why no program does it."""
        return _REMEDIES[self]


_RULES = {
    Invariant.I1: "A taken seat has exactly one order, and a confirmed order owns exactly its seats.",
    Invariant.I2: "An order that failed or expired owns no seat.",
    Invariant.I3: "A confirmed order was charged its total once; any other has no charge, or a refund is made or due.",
    Invariant.I4: "An order's total is the sum of the prices kept with its seats.",
    Invariant.I5: "A seat lock has a time to live and its order holds the seat; a hold has its lock.",
    Invariant.I6: "An open order has a running workflow that ends it in time; a running workflow has an open order.",
    Invariant.I7: "An order's log is a legal path from CREATED to its status, without a gap.",
}


_REMEDIES = {
    Invariant.I1: "Seat and order contradict each other: a person must decide which is right.",
    Invariant.I2: "A person must find out whether the seat was promised to a customer; then it can be released.",
    Invariant.I3: "No crash makes ledger and gateway differ like this: a person must check with the gateway.",
    Invariant.I4: "A program must not change the total that a customer agreed to pay: a person must correct it.",
    Invariant.I5: "The reconciler repairs it in its next run, unless another program writes to this Redis.",
    Invariant.I6: "The reconciler ends it in its next run; of an overdue order it reports the failing step.",
    Invariant.I7: "A log cannot be rewritten: a person must find the program that broke it.",
}


class ServerAway(Exception):
    """A server that is needed to check an invariant is unavailable; the message names it."""


@dataclass(frozen=True)
class Violation:
    """A violated invariant, at this step of the order; `subject` is the seat, the event or the key concerned."""

    invariant: Invariant
    order_id: str | None
    step: int | None
    subject: str
    detail: str

    @property
    def identity(self) -> tuple[object, ...]:
        """The key by which a recheck recognises the finding, if its order is still at the same step."""
        return self.invariant, self.order_id, self.step, self.subject


@dataclass(frozen=True)
class Sighting:
    """A finding of one check: it has existed for `age` at least, and counts from `grace` on."""

    finding: Violation
    age: timedelta = timedelta(0)
    grace: timedelta = timedelta(0)

    def lacks(self, *, watched: timedelta) -> timedelta:
        """Return the time for which it must still last before it counts; `watched` is that since the first check."""
        return max(timedelta(0), self.grace - max(self.age, watched))


@dataclass(frozen=True)
class Graces:
    """Times for which a violation must last before it counts.

    `second_look` is the pause between two checks and applies to everything, since a single check can see an order in
    the middle of a step. A missing lock has `repair` in addition to its own grace: Redis may have been unavailable when
    the lock was made, which is recorded nowhere, and the reconciler restores locks within its interval.
    """

    second_look: timedelta = timedelta(seconds=5)
    lock: timedelta = timedelta(seconds=30)
    workflow: timedelta = timedelta(minutes=1)
    repair: timedelta = timedelta(minutes=1)


@dataclass(frozen=True)
class AuditReport:
    """The findings that count, the unchecked invariants with the reason, and the number of orders left out.

    `foreign_orders` counts open orders of other Temporal namespaces; it is None if our namespace is unknown.
    """

    findings: tuple[Violation, ...] = ()
    unchecked: Mapping[Invariant, str] = field(default_factory=dict)
    foreign_orders: int | None = 0

    @property
    def checked(self) -> list[Invariant]:
        """The invariants that were checked, so that their findings are complete."""
        return [invariant for invariant in Invariant if invariant not in self.unchecked]

    def holds(self, invariant: Invariant) -> bool:
        """Return whether the invariant was checked and has no finding."""
        return invariant in self.checked and all(finding.invariant is not invariant for finding in self.findings)
