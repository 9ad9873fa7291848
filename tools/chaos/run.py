"""One run: a environment, crowds on it, the monkey's faults, then quiet and the verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import monotonic

from tools.chaos import faults
from tools.chaos.crowds import BUYERS, CONTENDERS, Crowd, send_crowds
from tools.chaos.environment import MARK, Environment, running_environment
from tools.chaos.ledger import Ledger
from tools.chaos.leftovers import left_over
from tools.chaos.monkey import Fault, plan_faults
from tools.chaos.sites import NotReady
from tools.chaos.verdict import Verdict, judge

SEATS_A_SECOND = 4
"""Somewhat more than the crowds can buy: enough until the end, and few enough for conflicts."""

Say = Callable[[str], None]


async def run(directory: Path, *, seed: int, seconds: float, say: Say) -> Verdict:
    """Run everything once for the seed; at the end all processes are stopped."""
    verdict = Verdict(seed, seconds)
    try:
        async with running_environment(directory) as environment:
            await _play(environment, verdict, say)
        verdict.failures += [
            f"The {site.name} Skyhold ended with {site.exit_code} when it was stopped, not with 0."
            for site in environment.sites
            if site.exit_code != 0
        ]
    except NotReady as error:
        verdict.failures.append(str(error))
    verdict.left_over = await left_over(directory)
    verdict.failures += [f"A process is left: {line}" for line in verdict.left_over]
    return verdict


async def _play(environment: Environment, verdict: Verdict, say: Say) -> None:
    endpoints, far = await environment.near.ready(), await environment.far.ready()
    flights = await Ledger(endpoints.database_url).add_flights(round(verdict.seconds * SEATS_A_SECOND))
    plan = plan_faults(verdict.seed, verdict.seconds)
    say(f"Seed {verdict.seed}: {len(plan)} faults in {verdict.seconds:.0f} s, {len(flights)} flights")
    async with asyncio.TaskGroup() as group:
        crowds = [
            group.create_task(send_crowds(crowd, verdict.seconds, verdict.heard))
            for crowd in _crowds(environment, verdict.seed, flights, endpoints.api, far.api)
        ]
        await _break(environment, plan, verdict, say)
        try:
            await _settle(environment, verdict, say)
            await judge(verdict, environment, await environment.near.ready(), crowds)
        except NotReady as error:
            verdict.failures.append(str(error))
        for crowd in crowds:
            crowd.cancel()


def _crowds(environment: Environment, seed: int, flights: Sequence[str], near: str, far: str) -> Iterator[Crowd]:
    """Yield two crowds for an API; the contenders have the same seed at both APIs, so they want the same seats."""
    mark = {MARK: str(environment.directory)}
    for number, (site, api) in enumerate((("near", near), ("far", far))):
        yield Crowd(api, flights, BUYERS, seed * 2 + number, environment.directory / f"{site}-buyers.log", mark)
        yield Crowd(api, flights, CONTENDERS, seed * 2, environment.directory / f"{site}-contenders.log", mark)


async def _settle(environment: Environment, verdict: Verdict, say: Say) -> None:
    """Wait until everything is ready again by itself."""
    quiet_at = monotonic()
    for site in environment.sites:
        await site.ready()
    verdict.ready_after = round(monotonic() - quiet_at, 1)
    verdict.starts = {site.name: site.starts for site in environment.sites}
    say(f"Quiet; all was ready again after {verdict.ready_after} s")


async def _break(environment: Environment, plan: Sequence[Fault], verdict: Verdict, say: Say) -> None:
    """Inject the faults of the plan at their times, and return when the last is undone and the time is over."""
    began_at = monotonic()

    async def commit(fault: Fault) -> None:
        say(str(fault))
        is_done = await faults.commit(environment, fault)
        (verdict.faults if is_done else verdict.missed)[f"{fault.act} {fault.target}"] += 1
        if not is_done:
            say(f"{fault}: no target")

    async with asyncio.TaskGroup() as group:
        for fault in plan:
            await asyncio.sleep(began_at + fault.at - monotonic())
            group.create_task(commit(fault))
        await asyncio.sleep(began_at + verdict.seconds - monotonic())
