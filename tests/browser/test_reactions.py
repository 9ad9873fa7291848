"""How quickly the page of a large aircraft answers a hand."""

from __future__ import annotations

import statistics
from typing import Any

import pytest

from support.browsers import Visitors
from support.pages import DESKTOP, PHONE, SK900, expect_seat, seat
from support.stacks import Stack

REACTS_WITHIN_MILLISECONDS = 100
SEATS = ("30A", "31B", "32C", "33D", "34E")

_LISTEN = """(grid) => {
    window.reactions = [];
    let pressedAt = null;
    addEventListener("click", (event) => { pressedAt = event.timeStamp; }, { capture: true });
    new MutationObserver(() => {
        if (pressedAt === null) return;
        const since = pressedAt;
        pressedAt = null;
        requestAnimationFrame(() => setTimeout(() => window.reactions.push(performance.now() - since)));
    }).observe(grid, { subtree: true, attributeFilter: ["aria-label"] });
}"""
"""Counts from the press until the seat is called something else and the picture of that is made."""


@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.quiet
async def test_choosing_among_300_seats_is_seen_within_100_ms(
    open_page: Visitors, stack: Stack, device: dict[str, Any]
) -> None:
    page = await open_page(f"{stack.endpoints.api}/flights/{SK900}", **device)
    await expect_seat(page, SEATS[0], "available")
    await page.get_by_role("grid").evaluate(_LISTEN)

    for seat_id in SEATS:
        await (seat(page, seat_id).tap() if device is PHONE else seat(page, seat_id).click())
        await expect_seat(page, seat_id, "chosen, not yet held")

    await page.wait_for_function(f"window.reactions.length === {len(SEATS)}")
    reactions: list[float] = await page.evaluate("window.reactions")
    assert statistics.median(reactions) < REACTS_WITHIN_MILLISECONDS, reactions
