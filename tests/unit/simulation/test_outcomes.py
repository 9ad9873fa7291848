"""Counts of a crowd's outcomes."""

from __future__ import annotations

import pytest

from skyhold_local.simulation.outcomes import ORDERS_KEPT, VIOLATIONS_KEPT, Latency, Outcomes, State, state_of
from skyhold_local.simulation.replies import Act, ContractViolation, Refused, ResponseTime


@pytest.mark.parametrize(
    ("status", "failure_code", "state"),
    [
        ("CONFIRMED", None, State.CONFIRMED),
        ("EXPIRED", None, State.EXPIRED),
        ("FAILED", "PAYMENT_DECLINED", State.DECLINED),
        ("FAILED", "PAYMENT_FAILED", State.PAYMENT_FAILED),
        ("FAILED", "CANCELLED", State.CANCELLED),
        ("FAILED", "INTERNAL", State.FAILED),
        ("FAILED", None, State.FAILED),
    ],
)
def test_every_end_of_an_order_has_its_count(status: str, failure_code: str | None, state: State) -> None:
    assert state_of(status, failure_code) is state


def test_percentiles_are_values_that_were_there() -> None:
    latency = Latency.of([ResponseTime(n / 1000, n / 500) for n in range(200, 0, -1)])
    assert latency == Latency(200, 100.0, 198.0, 200.0, 400.0)
    assert Latency.of([ResponseTime(0.05, 0.06)]) == Latency(1, 50.0, 50.0, 50.0, 60.0)
    assert Latency.of([]) == Latency(0, None, None, None, None)


def test_only_what_changes_something_is_timed_and_the_no_to_who_was_too_late() -> None:
    outcomes = Outcomes()
    outcomes.record_success(Act.LOOK, ResponseTime(1.0, 1.0))
    outcomes.record_success(Act.HOLD, ResponseTime(0.5, 0.5))
    for code in ("SEATS_UNAVAILABLE", "ORDER_EXPIRED"):
        outcomes.count_refusal(Refused(code, {}, ResponseTime(0.2, 0.7)), "customer 1")
    told = outcomes.latencies()
    assert {act: latency.count for act, latency in told.items()} == {"hold": 1, "change": 0, "payment": 0, "refusal": 1}
    assert (told["refusal"].max_ms, told["refusal"].total_max_ms) == (200.0, 700.0)
    assert (outcomes.conflicts, outcomes.refused_customers) == (1, {"customer 1"})


def test_the_last_orders_are_kept_by_their_ids() -> None:
    outcomes = Outcomes()
    for number in range(ORDERS_KEPT + 3):
        outcomes.note(f"{number}", State.HELD)
        outcomes.note(f"{number}", State.CONFIRMED)
    assert list(outcomes.last_orders) == [f"{number}" for number in range(3, ORDERS_KEPT + 3)]


def test_a_seat_that_two_have_bought_is_noticed() -> None:
    outcomes = Outcomes()
    outcomes.record_sale("a-flight", ("1A", "1B"), "order-1")
    outcomes.record_sale("a-flight", ("1A", "1B"), "order-1")
    outcomes.record_sale("another-flight", ("1A",), "order-2")
    with pytest.raises(ContractViolation, match="Sold twice on flight a-flight: 1B"):
        outcomes.record_sale("a-flight", ("1B", "1C"), "order-3")


def test_every_order_is_counted_where_it_is_and_only_open_ones_are_kept() -> None:
    outcomes = Outcomes()
    for order_id, *states in (("1", State.HELD), ("2", State.HELD, State.PAYING), ("3", State.HELD, State.CONFIRMED)):
        for state in states:
            outcomes.note(order_id, state)
    assert outcomes.open_orders == {"1": State.HELD, "2": State.PAYING}
    assert [outcomes.count(state) for state in (State.HELD, State.PAYING, State.CONFIRMED)] == [1, 1, 1]
    assert outcomes.count(State.HELD, State.CONFIRMED) == 2
    assert outcomes.orders.total() == 3


def test_all_surprises_are_counted_and_some_are_told() -> None:
    outcomes = Outcomes()
    for number in range(VIOLATIONS_KEPT + 5):
        outcomes.count_violation(ContractViolation(f"number {number}"))
    assert (outcomes.violations, len(outcomes.violation_details)) == (VIOLATIONS_KEPT + 5, VIOLATIONS_KEPT)
