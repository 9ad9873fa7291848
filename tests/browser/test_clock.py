"""The clock on the pages follows the server's time, despite the reader's own clock and after any absence."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import Page, expect

from support.browsers import Visitors
from support.pages import DESKTOP, Row, expect_right_clock, hold, order_page, seconds_left, status_of
from support.services import eventually
from support.stacks import Stack

pytestmark = pytest.mark.rest

MINUTE = pytest.param(60, marks=pytest.mark.long)

WRONG_CLOCK = """
    const [RealDate, wrong] = [Date, MILLISECONDS];
    globalThis.Date = class extends RealDate {
        constructor(...given) { given.length ? super(...given) : super(RealDate.now() + wrong); }
        static now() { return RealDate.now() + wrong; }
    };
"""


@pytest.mark.parametrize("seconds", [3, MINUTE])
@pytest.mark.parametrize("hours", [pytest.param(-1, marks=pytest.mark.long), 1])
async def test_a_clock_that_is_an_hour_wrong_changes_nothing(
    open_page: Visitors, stack: Stack, row: Row, hours: int, seconds: int
) -> None:
    context = await open_page.newcomer(stack.endpoints.api, **DESKTOP)
    await context.add_init_script(WRONG_CLOCK.replace("MILLISECONDS", str(hours * 3_600_000)))
    page = await context.new_page()
    await page.goto(f"{stack.endpoints.api}{row.path}")
    await hold(page, *row.seats("A"))
    await expect_right_clock(page)
    await asyncio.sleep(seconds)  # The test is about this error of the clock.
    await expect_right_clock(page)

    await page.get_by_role("link", name=re.compile("^Pay ")).click()

    await expect(page.get_by_label("Payment code")).to_be_visible()
    await expect_right_clock(page)
    until = re.search(r"until (\d\d:\d\d)", await page.get_by_role("main").inner_text())
    assert until is not None
    expires = await page.evaluate(
        "(instant) => new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' }).format(new Date(instant))",
        (await status_of(page))["expiresAt"],
    )
    assert until[1] == expires


@pytest.mark.parametrize("seconds", [3, MINUTE])
async def test_a_page_that_was_out_of_sight_is_right_when_it_is_looked_at_again(
    open_page: Visitors, stack: Stack, row: Row, seconds: int
) -> None:
    page = await order_page(open_page, stack, row)
    debugger = await page.context.new_cdp_session(page)
    await debugger.send("Emulation.setFocusEmulationEnabled", {"enabled": False})
    before = await seconds_left(page)

    await debugger.send("Page.setWebLifecycleState", {"state": "frozen"})
    await asyncio.sleep(seconds)  # The test is about this absence.
    await debugger.send("Page.setWebLifecycleState", {"state": "active"})

    await expect_right_clock(page)
    assert await seconds_left(page) <= before - seconds + 1, "it went on while nobody looked"


async def test_an_order_that_ended_while_its_page_slept_is_told_when_it_wakes(
    open_page: Visitors, brief_stack: Stack, row: Row
) -> None:
    page = await order_page(open_page, brief_stack, row)
    debugger = await page.context.new_cdp_session(page)
    await debugger.send("Page.setWebLifecycleState", {"state": "frozen"})
    await eventually(lambda: _has_expired(page))

    await debugger.send("Page.setWebLifecycleState", {"state": "active"})

    await expect(page.get_by_role("heading", level=1)).to_contain_text("Time ran out")


async def test_the_time_left_is_in_the_title_of_the_window(open_page: Visitors, stack: Stack, row: Row) -> None:
    page = await order_page(open_page, stack, row)

    digits, title = await page.get_by_role("timer").evaluate("(timer) => [timer.innerText, document.title]")

    assert re.match(r"1[45]:\d\d$", digits), digits
    assert title.startswith(f"{digits} · "), "both are of one moment"


async def _has_expired(page: Page) -> bool:
    return bool((await status_of(page))["status"] == "EXPIRED")
