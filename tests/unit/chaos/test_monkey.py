"""The monkey's plan: the same for the same seed, bounded, and with every kind of fault."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from tools.chaos.monkey import DECK, FAULT_SECONDS, FAULTS_AT_ONCE, PAUSE_SECONDS, Act, lasts, plan_faults

SEEDS = range(20)


def test_the_same_seed_gives_the_same_plan() -> None:
    assert plan_faults(7, 60) == plan_faults(7, 60)


def test_another_seed_gives_another_plan() -> None:
    assert len({tuple(plan_faults(seed, 60)) for seed in SEEDS}) == len(SEEDS)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_fault_begins_in_its_turn_and_has_ended_in_time(seed: int) -> None:
    plan = plan_faults(seed, 60)
    begun = [fault.at for fault in plan]
    assert begun == sorted(begun)
    assert all(fault.at > 0 and fault.at + fault.seconds <= 60 for fault in plan)
    assert all(later - earlier >= PAUSE_SECONDS[0] for earlier, later in pairwise(begun))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_fault_lasts_as_long_as_it_may(seed: int) -> None:
    for fault in plan_faults(seed, 60):
        shortest, longest = FAULT_SECONDS if lasts(fault.act, fault.target) else (0.0, 0.0)
        assert shortest <= fault.seconds <= longest


@pytest.mark.parametrize("seed", SEEDS)
def test_no_more_faults_last_at_once_than_may(seed: int) -> None:
    plan = plan_faults(seed, 300)
    for fault in plan:
        at_once = [other for other in plan if other.at <= fault.at < other.at + other.seconds]
        assert len(at_once) <= FAULTS_AT_ONCE


def test_nothing_is_forgotten_before_anything_comes_again() -> None:
    plan = plan_faults(1, 3600)
    first = Counter((fault.act, fault.target) for fault in plan[: len(DECK)])
    assert first == Counter(DECK)


def test_a_minute_breaks_many_things_of_many_kinds() -> None:
    plans = [plan_faults(seed, 60) for seed in SEEDS]
    assert min(len(plan) for plan in plans) >= 10
    assert {fault.act for plan in plans for fault in plan} == set(Act)
