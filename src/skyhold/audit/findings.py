"""What the audit found: an invariant, the order that breaks it, and how."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Invariant(StrEnum):
    """The invariants that are audited (product.md, section 4)."""

    I1 = "I1"
    I2 = "I2"
    I3 = "I3"
    I4 = "I4"
    I7 = "I7"

    @property
    def rule(self) -> str:
        """The invariant in a sentence."""
        return _RULES[self]


_RULES = {
    Invariant.I1: "A taken seat has exactly one order, and a confirmed order owns exactly its seats.",
    Invariant.I2: "An order that failed or expired owns no seat.",
    Invariant.I3: "A confirmed order was charged its total once; of any other the money is back or due.",
    Invariant.I4: "An order's total is the sum of the prices it keeps.",
    Invariant.I7: "An order's log tells a legal way from CREATED to its status, without a gap.",
}


@dataclass(frozen=True)
class Finding:
    """A broken invariant, at this step of the order; `subject` is the seat, the event or the key that it is about."""

    invariant: Invariant
    order_id: str | None
    step: int | None
    subject: str
    detail: str

    @property
    def identity(self) -> tuple[object, ...]:
        """By what a finding is known again, if its order has not moved on meanwhile."""
        return self.invariant, self.order_id, self.step, self.subject
