"""What the audit found: an invariant, the order that breaks it, and how; and what it could not look at."""

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
        """Who mends what breaks it, once the reconciler has been by, and why not a program."""
        return _REMEDIES[self]


_RULES = {
    Invariant.I1: "A taken seat has exactly one order, and a confirmed order owns exactly its seats.",
    Invariant.I2: "An order that failed or expired owns no seat.",
    Invariant.I3: "A confirmed order was charged its total once; of any other the money is back or due.",
    Invariant.I4: "An order's total is the sum of the prices it keeps.",
    Invariant.I5: "A seat lock has a time to live and its order holds the seat; a hold has its lock.",
    Invariant.I6: "An open order has a running workflow that ends it in time; a running workflow has an open order.",
    Invariant.I7: "An order's log tells a legal way from CREATED to its status, without a gap.",
}


_REMEDIES = {
    Invariant.I1: "Two stories about one seat: a person has to say which is true.",
    Invariant.I2: "A person has to say whether anybody was promised the seat; then it can be freed.",
    Invariant.I3: "Ledger and gateway differ in what no crash can cause: a person has to ask the gateway.",
    Invariant.I4: "What a customer agreed to pay is not for a program to change.",
    Invariant.I5: "The reconciler sets it right in its next run, unless somebody else writes into this Redis.",
    Invariant.I6: "The reconciler ends it in its next run; of an overdue one it names the failing step, for a person.",
    Invariant.I7: "A log cannot be rewritten: a person has to find out who broke it.",
}


class ServerAway(Exception):
    """A server that an invariant is about cannot be asked; the message says which."""


@dataclass(frozen=True)
class Finding:
    """A broken invariant, at this step of the order; `subject` is the seat, the event, the key that it is about."""

    invariant: Invariant
    order_id: str | None
    step: int | None
    subject: str
    detail: str

    @property
    def identity(self) -> tuple[object, ...]:
        """By what a finding is known again, if its order has not moved on meanwhile."""
        return self.invariant, self.order_id, self.step, self.subject


@dataclass(frozen=True)
class Sighting:
    """A finding as one look saw it: it has been so for `age` at least, and counts from `grace` on."""

    finding: Finding
    age: timedelta = timedelta(0)
    grace: timedelta = timedelta(0)

    def lacks(self, *, watched: timedelta) -> timedelta:
        """Return how much longer it has to be there, after having been watched for so long, before it counts."""
        return max(timedelta(0), self.grace - max(self.age, watched))


@dataclass(frozen=True)
class Graces:
    """How long something may look broken before it counts.

    `second_look` is for everything, since a single look can see an order in the middle of a step, and then for each
    further look. A missing lock has
    `repair` beyond its own grace: Redis may have been away when the lock was made, which is written down nowhere, and
    the reconciler gives locks back within its interval.
    """

    second_look: timedelta = timedelta(seconds=5)
    lock: timedelta = timedelta(seconds=30)
    workflow: timedelta = timedelta(minutes=1)
    repair: timedelta = timedelta(minutes=1)


@dataclass(frozen=True)
class AuditReport:
    """The findings that lasted, the invariants that could not be checked with the reason, and orders not ours to judge.

    `foreign_orders` counts open orders of other Temporal namespaces; it is None if ours is not known.
    """

    findings: tuple[Finding, ...] = ()
    unchecked: Mapping[Invariant, str] = field(default_factory=dict)
    foreign_orders: int | None = 0

    @property
    def checked(self) -> list[Invariant]:
        """The invariants of which the findings are all there is."""
        return [invariant for invariant in Invariant if invariant not in self.unchecked]

    def holds(self, invariant: Invariant) -> bool:
        """Say whether the invariant was checked and nothing breaks it."""
        return invariant in self.checked and all(finding.invariant is not invariant for finding in self.findings)
