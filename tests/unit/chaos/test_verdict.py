"""The verdict: every contract violation that a customer saw fails the run."""

from __future__ import annotations

from typing import Any

from tools.chaos.crowds import Heard
from tools.chaos.verdict import Verdict, reports_of

SOLD_TWICE = "Sold twice on flight FL101: 12A."


def told(*violations: str, count: int | None = None) -> dict[str, Any]:
    return {
        "closing": "timeOver",
        "orders": {"made": 3},
        "conflicts": 1,
        "changes": 0,
        "retries": 2,
        "seatsSold": 4,
        "violations": {"count": len(violations) if count is None else count, "details": list(violations)},
    }


def test_every_violation_that_a_crowd_saw_fails_the_run_described_or_not() -> None:
    heard = Heard()
    heard.hear(told(SOLD_TWICE, count=4))
    assert reports_of(heard) == [SOLD_TWICE, "and 3 more."]


def test_crowds_are_added_up() -> None:
    heard = Heard()
    heard.hear(told())
    heard.hear(told(SOLD_TWICE))
    assert (heard.crowds, heard.counts["orders"], heard.counts["seatsSold"]) == (2, 6, 8)
    assert heard.endings == {"timeOver": 2}
    assert heard.violations == [SOLD_TWICE]


def test_a_failure_of_any_kind_is_no_pass() -> None:
    verdict = Verdict(1, 60.0)
    assert verdict.is_passed
    verdict.failures.append("A process is left.")
    assert verdict.to_json()["passed"] is False
