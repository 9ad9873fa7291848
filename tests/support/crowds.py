"""Crowds on an API in memory: how one is planned, run, and closed when something has come of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from skyhold_local.simulation.connections import Api
from skyhold_local.simulation.crowd import Closing, Crowd, CrowdPlan
from skyhold_local.simulation.outcomes import Outcomes
from support.small_api import FLIGHT, NUMBER, SmallApi, until
from tools.crowd.fault_plans import FaultCounts, draw_behaviours

LONG = 3600.0


def a_plan(customers: int = 10, *, seed: int = 1, pace: float = 50.0, seconds: float = LONG) -> CrowdPlan:
    return CrowdPlan(customers, seconds, {FLIGHT: NUMBER}, seed, pace)


def with_faults(plan: CrowdPlan, *, forbidden: int = 0, flaky: int = 0) -> tuple[CrowdPlan, FaultCounts]:
    """Return the plan with faults for so many percent of its customers, and the counts of those."""
    counts = FaultCounts()
    behaviour_of = draw_behaviours(plan.seed, plan.customers, counts, forbidden=forbidden, flaky=flaky)
    return replace(plan, behaviour_of=behaviour_of), counts


async def run(small: SmallApi, plan: CrowdPlan, meanwhile: Callable[[Crowd], Any] | None = None) -> Crowd:
    async with Api("http://skyhold.test", transport=small.transport) as api, asyncio.timeout(60):
        crowd = Crowd(api, plan)
        if meanwhile is None:
            await crowd.run()
        else:
            await asyncio.gather(crowd.run(), meanwhile(crowd))
    return crowd


def closed_when(condition: Callable[[Outcomes], object]) -> Callable[[Crowd], Any]:
    """Return what closes a crowd when its outcomes are so."""

    async def close(crowd: Crowd) -> None:
        await until(lambda: condition(crowd.outcomes))
        crowd._close(Closing.TIME_OVER)

    return close


def stopped_when(condition: Callable[[Outcomes], object]) -> Callable[[Crowd], Any]:
    """Return what sends a crowd home when its outcomes are so."""

    async def stop(crowd: Crowd) -> None:
        await until(lambda: condition(crowd.outcomes))
        crowd.stop()

    return stop
