"""When the customers of a crowd come."""

from __future__ import annotations

from skyhold_local.simulation.crowd import CrowdPlan


def test_many_come_at_once_and_the_last_ones_later() -> None:
    arrivals = CrowdPlan(customers=30, seconds=60.0, flights={}, seed=1).arrivals()
    assert arrivals[0] == 0
    assert sum(at <= 2 for at in arrivals) >= 8
    assert list(arrivals) == sorted(arrivals)
    assert 15 < arrivals[-1] < 24
    assert CrowdPlan(customers=5, seconds=2.0, flights={}, seed=1).arrivals()[-1] < 1
