"""Pauses of simulated customers, and their end."""

from __future__ import annotations

import asyncio

import pytest

from skyhold_local.simulation.pauses import CrowdStopped, Pauses

LONG = 3600.0


async def test_thinking_ends_when_the_crowd_is_closed_and_nobody_leaves_for_that() -> None:
    pauses = Pauses()
    thinking = asyncio.create_task(pauses.think(LONG))
    await asyncio.sleep(0)

    pauses.close()

    await asyncio.wait_for(thinking, 5)
    await asyncio.wait_for(pauses.think(LONG), 5)
    assert (pauses.is_open, pauses.is_stopped) == (False, False)


async def test_who_is_sent_home_leaves_whatever_they_wait_for() -> None:
    pauses = Pauses()
    waiting = [asyncio.create_task(act) for act in (pauses.think(LONG), pauses.wait(LONG))]
    await asyncio.sleep(0)

    pauses.stop()

    for task in waiting:
        with pytest.raises(CrowdStopped):
            await asyncio.wait_for(task, 5)
    assert not pauses.is_open


async def test_what_the_api_asked_for_is_waited_out_also_when_the_crowd_is_closed() -> None:
    pauses = Pauses()
    pauses.close()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(pauses.wait(LONG), 0.05)


async def test_a_pace_makes_thinking_shorter_and_nobody_thinks_longer_than_they_may() -> None:
    async with asyncio.timeout(5):
        await Pauses(LONG * 100).think(LONG)
        await Pauses().think(LONG, at_most=0.01)
        await Pauses().think(LONG, at_most=-1)
