"""Fault plans: exactly as many customers as asked for, every kind of fault, and the same for the same seed."""

from __future__ import annotations

from itertools import islice
from random import Random

import pytest

from skyhold_local.simulation.behaviours import Moment
from tools.crowd.fault_plans import FaultCounts, FaultPlan, draw_behaviours, draw_fault_plans
from tools.crowd.forbidden_requests import FORBIDDEN, ForbiddenRequest
from tools.crowd.network_faults import NetworkFault


def plans(*, sends_forbidden: bool, is_flaky: bool) -> list[FaultPlan]:
    return list(islice(draw_fault_plans(Random("1"), sends_forbidden=sends_forbidden, is_flaky=is_flaky), 500))


@pytest.mark.parametrize(("percent", "many"), [(0, 0), (10, 3), (50, 15), (100, 30)])
def test_exactly_as_many_customers_have_faults_as_were_asked_for(percent: int, many: int) -> None:
    behaviour_of = draw_behaviours(7, 30, FaultCounts(), forbidden=percent, flaky=0)
    behaviours = [behaviour_of(number) for number in range(1, 31)]
    for behaviour in behaviours:
        behaviour.begin_trip()
    drawn = [islice(behaviour._plans, 50) for behaviour in behaviours]  # type: ignore[attr-defined]
    assert sum(any(plan.forbidden for plan in each) for each in drawn) == many


def test_every_forbidden_request_is_sent_at_its_moment_and_every_network_fault_occurs() -> None:
    drawn = plans(sends_forbidden=True, is_flaky=True)
    assert {kind for each in drawn for kind in each.forbidden.values()} == set(ForbiddenRequest)
    assert all(FORBIDDEN[kind].moment is moment for each in drawn for moment, kind in each.forbidden.items())
    assert {fault for each in drawn for fault in each.network_faults.values()} == set(NetworkFault)
    assert {moment for each in drawn for moment in each.forbidden} == set(Moment)


def test_one_kind_of_fault_changes_nothing_about_the_other() -> None:
    both, flaky_only = (plans(sends_forbidden=sends, is_flaky=True) for sends in (True, False))
    assert [each.network_faults for each in both] == [each.network_faults for each in flaky_only]
    assert both != flaky_only
