"""The page of a large aircraft: short reaction times, and little work while it is idle."""

from __future__ import annotations

import asyncio
import statistics
from typing import Any

import pytest

from support.browsers import Visitors
from support.pages import DESKTOP, PHONE, SK900, expect_seat, hold, seat
from support.stacks import Stack

pytestmark = pytest.mark.rest

REACTS_WITHIN_MILLISECONDS = 100
LAYOUTS_A_SECOND = 5
SEATS = ("30A", "31B", "32C", "33D", "34E")

_LISTEN = """(grid, count) => {
    let pressedAt = null;
    const reactions = [];
    addEventListener("click", (event) => { pressedAt = event.timeStamp; }, { capture: true });
    window.reactions = new Promise((resolve) => {
        new MutationObserver(() => {
            if (pressedAt === null) return;
            const since = pressedAt;
            pressedAt = null;
            requestAnimationFrame(() => setTimeout(() => {
                if (reactions.push(performance.now() - since) === count) resolve(reactions);
            }));
        }).observe(grid, { subtree: true, attributeFilter: ["aria-label"] });
    });
}"""
"""Measures from the click until the seat's accessible name has changed and the next frame is drawn."""


@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.quiet
async def test_choosing_among_300_seats_is_seen_within_100_ms(
    open_page: Visitors, stack: Stack, device: dict[str, Any]
) -> None:
    page = await open_page(f"{stack.endpoints.api}/flights/{SK900}", **device)
    await expect_seat(page, SEATS[0], "available")
    await page.get_by_role("grid").evaluate(_LISTEN, len(SEATS))

    for seat_id in SEATS:
        await (seat(page, seat_id).tap() if device is PHONE else seat(page, seat_id).click())
        await expect_seat(page, seat_id, "chosen, not yet held")

    reactions: list[float] = await page.evaluate("window.reactions")
    assert statistics.median(reactions) < REACTS_WITHIN_MILLISECONDS, reactions


async def test_a_page_that_waits_moves_its_clock_and_nothing_else(open_page: Visitors, stack: Stack) -> None:
    """A hold lasts 15 minutes: a layout in each frame would drain a phone's battery."""
    page = await open_page(f"{stack.endpoints.api}/flights/{SK900}", **PHONE)
    await hold(page, "36A")
    watch = await page.context.new_cdp_session(page)
    await watch.send("Performance.enable")

    async def layouts() -> int:
        metrics = (await watch.send("Performance.getMetrics"))["metrics"]
        return next(int(metric["value"]) for metric in metrics if metric["name"] == "LayoutCount")

    await asyncio.sleep(2)  # Animations of the click itself end.
    before = await layouts()
    await asyncio.sleep(4)
    assert 2 <= await layouts() - before <= 4 * LAYOUTS_A_SECOND
