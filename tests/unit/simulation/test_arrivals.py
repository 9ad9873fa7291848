"""The arrivals of a crowd's customers."""

from __future__ import annotations

from skyhold_local.simulation.goals import Goal


def test_many_come_at_once_and_the_last_ones_later() -> None:
    arrivals = Goal().arrivals(30, 60.0)
    assert arrivals[0] == 0
    assert sum(at <= 2 for at in arrivals) >= 8
    assert list(arrivals) == sorted(arrivals)
    assert 15 < arrivals[-1] < 24
    assert Goal().arrivals(5, 2.0)[-1] < 1
