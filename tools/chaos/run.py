"""One run: a ground, crowds on it, a monkey among them, then quiet and the verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import monotonic

from tools.chaos import faults
from tools.chaos.crowds import BUYERS, CONTENDERS, Crowd, send_crowds
from tools.chaos.ground import MARK, Ground, standing_ground
from tools.chaos.ledger import Ledger
from tools.chaos.leftovers import left_over
from tools.chaos.monkey import Fault, plan_faults
from tools.chaos.sites import NotReady
from tools.chaos.verdict import Verdict, judge

SEATS_A_SECOND = 4
"""Somewhat more than the crowds can buy: enough for them to go on until the end, and few enough to be in demand."""

Say = Callable[[str], None]


async def run(directory: Path, *, seed: int, seconds: float, say: Say) -> Verdict:
    """Run everything once for the seed; at the end nothing of it runs."""
    verdict = Verdict(seed, seconds)
    try:
        async with standing_ground(directory) as ground:
            await _play(ground, verdict, say)
        verdict.failures += [
            f"The {site.name} Skyhold ended with {site.exit_code} when it was told to stop, not with 0."
            for site in ground.sites
            if site.exit_code != 0
        ]
    except NotReady as error:
        verdict.failures.append(str(error))
    verdict.left_over = await left_over(directory)
    verdict.failures += [f"A process is left: {line}" for line in verdict.left_over]
    return verdict


async def _play(ground: Ground, verdict: Verdict, say: Say) -> None:
    endpoints, far = await ground.near.ready(), await ground.far.ready()
    flights = await Ledger(endpoints.database_url).add_flights(round(verdict.seconds * SEATS_A_SECOND))
    plan = plan_faults(verdict.seed, verdict.seconds)
    say(f"Seed {verdict.seed}: {len(plan)} faults in {verdict.seconds:.0f} s, {len(flights)} flights")
    async with asyncio.TaskGroup() as group:
        crowds = [
            group.create_task(send_crowds(crowd, verdict.seconds, verdict.heard))
            for crowd in _crowds(ground, verdict.seed, flights, endpoints.api, far.api)
        ]
        await _break(ground, plan, verdict, say)
        try:
            await _settle(ground, verdict, say)
            await judge(verdict, ground, await ground.near.ready(), crowds)
        except NotReady as error:
            verdict.failures.append(str(error))
        for crowd in crowds:
            crowd.cancel()


def _crowds(ground: Ground, seed: int, flights: Sequence[str], near: str, far: str) -> Iterator[Crowd]:
    """Give two crowds an API; those who fight are of one seed at both, so they want the same seats."""
    mark = {MARK: str(ground.directory)}
    for number, (site, api) in enumerate((("near", near), ("far", far))):
        yield Crowd(api, flights, BUYERS, seed * 2 + number, ground.directory / f"{site}-buyers.log", mark)
        yield Crowd(api, flights, CONTENDERS, seed * 2, ground.directory / f"{site}-contenders.log", mark)


async def _settle(ground: Ground, verdict: Verdict, say: Say) -> None:
    """Wait until everything is there again, by itself."""
    quiet_at = monotonic()
    for site in ground.sites:
        await site.ready()
    verdict.ready_after = round(monotonic() - quiet_at, 1)
    verdict.starts = {site.name: site.starts for site in ground.sites}
    say(f"Quiet; all was ready again after {verdict.ready_after} s")


async def _break(ground: Ground, plan: Sequence[Fault], verdict: Verdict, say: Say) -> None:
    """Commit the faults of the plan in their time, and return when the last is undone and the time is over."""
    began_at = monotonic()

    async def commit(fault: Fault) -> None:
        say(str(fault))
        is_done = await faults.commit(ground, fault)
        (verdict.faults if is_done else verdict.missed)[f"{fault.act} {fault.victim}"] += 1
        if not is_done:
            say(f"{fault}: nobody was there")

    async with asyncio.TaskGroup() as group:
        for fault in plan:
            await asyncio.sleep(began_at + fault.at - monotonic())
            group.create_task(commit(fault))
        await asyncio.sleep(began_at + verdict.seconds - monotonic())
