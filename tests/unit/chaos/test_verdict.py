"""The verdict: whom the monkey's own acts excuse, and that nothing else is forgiven."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tools.chaos.crowds import Heard
from tools.chaos.verdict import Verdict, complaints_of

CANCELLED = "A hold ended without a reason that its customer knows of: CANCELLED."
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


def a_verdict(*violations: str, count: int | None = None, **faults: int) -> Verdict:
    heard = Heard()
    heard.hear(told(*violations, count=count))
    return Verdict(1, 60.0, heard=heard, faults=Counter({name.replace("_", " "): n for name, n in faults.items()}))


def test_each_booking_that_was_cancelled_by_us_excuses_one_customer() -> None:
    verdict = a_verdict(CANCELLED, CANCELLED, CANCELLED, cancel_a_booking=1, terminate_a_booking=1)
    assert complaints_of(verdict) == [CANCELLED]


def test_nothing_excuses_a_seat_that_was_sold_twice() -> None:
    assert complaints_of(a_verdict(SOLD_TWICE, cancel_a_booking=5)) == [SOLD_TWICE]


def test_what_a_crowd_saw_and_did_not_tell_counts_too() -> None:
    assert complaints_of(a_verdict(CANCELLED, count=4, cancel_a_booking=1)) == ["and 3 times more."]


def test_crowds_are_added_up() -> None:
    heard = Heard()
    heard.hear(told())
    heard.hear(told(SOLD_TWICE))
    assert (heard.crowds, heard.counts["orders"], heard.counts["seatsSold"]) == (2, 6, 8)
    assert heard.endings == {"timeOver": 2}
    assert heard.violations == [SOLD_TWICE]


def test_a_failure_of_any_kind_is_no_pass() -> None:
    verdict = a_verdict()
    assert verdict.is_passed
    verdict.failures.append("A process is left.")
    assert verdict.to_json()["passed"] is False
