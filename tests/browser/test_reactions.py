"""How quickly the page of a large aircraft answers a hand, from the press to the next picture, by the browser's count."""

from __future__ import annotations

import statistics
from typing import Any

import pytest
from playwright.async_api import Page

from support.browsers import Visitors
from support.pages import DESKTOP, PHONE, SK900, expect_seat, seat
from support.stacks import Stack

REACTS_WITHIN_MILLISECONDS = 100
SEATS = ("30A", "31B", "32C", "33D", "34E")

_LISTEN = """() => {
    window.reactions = [];
    new PerformanceObserver((list) => {
        for (const { name, duration } of list.getEntries()) if (name === "click") window.reactions.push(duration);
    }).observe({ type: "event", durationThreshold: 16 });
}"""


@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_choosing_among_300_seats_is_seen_within_100_ms(
    open_page: Visitors, stack: Stack, device: dict[str, Any]
) -> None:
    page = await open_page(f"{stack.endpoints.api}/flights/{SK900}", **device)
    await expect_seat(page, SEATS[0], "available")
    await page.evaluate(_LISTEN)

    for seat_id in SEATS:
        await (seat(page, seat_id).tap() if device is PHONE else seat(page, seat_id).click())
        await expect_seat(page, seat_id, "chosen, not yet held")

    reactions = await _reactions(page)
    assert statistics.median(reactions) < REACTS_WITHIN_MILLISECONDS, reactions


async def _reactions(page: Page) -> list[float]:
    """Return how long each press took to be seen; one below 16 ms is not counted by the browser, and quick enough."""
    await page.evaluate("new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 100)))")
    counted: list[float] = await page.evaluate("window.reactions")
    return counted + [16.0] * (len(SEATS) - len(counted))
