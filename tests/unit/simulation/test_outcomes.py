"""How a crowd's outcomes are counted."""

from __future__ import annotations

import pytest

from skyhold.simulation.outcomes import SURPRISES_KEPT, Latency, Outcomes, State, state_of
from skyhold.simulation.replies import Act, Surprise


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
    latency = Latency.of([n / 1000 for n in range(200, 0, -1)])
    assert (latency.count, latency.p50_ms, latency.p99_ms) == (200, 100.0, 198.0)
    assert Latency.of([0.05]) == Latency(1, 50.0, 50.0)
    assert Latency.of([]) == Latency(0, None, None)


def test_only_what_changes_something_is_timed() -> None:
    outcomes = Outcomes()
    outcomes.took(Act.LOOK, 1.0)
    outcomes.took(Act.HOLD, 0.5)
    assert {act: latency.count for act, latency in outcomes.latencies().items()} == {
        Act.HOLD: 1,
        Act.CHANGE: 0,
        Act.PAY: 0,
    }


def test_a_seat_that_two_have_bought_is_noticed() -> None:
    outcomes = Outcomes()
    outcomes.sell("a-flight", ("1A", "1B"), "order-1")
    outcomes.sell("a-flight", ("1A", "1B"), "order-1")
    outcomes.sell("another-flight", ("1A",), "order-2")
    with pytest.raises(Surprise, match="Sold twice on flight a-flight: 1B"):
        outcomes.sell("a-flight", ("1B", "1C"), "order-3")


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
    for number in range(SURPRISES_KEPT + 5):
        outcomes.surprise(Surprise(f"number {number}"))
    assert (outcomes.surprises, len(outcomes.told_surprises)) == (SURPRISES_KEPT + 5, SURPRISES_KEPT)
