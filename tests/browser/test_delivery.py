"""Delivery of the pages: size, requests, and content without scripts."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.async_api import Page, expect

from support.accessibility import barriers_of
from support.browsers import Visitors
from support.pages import DESKTOP, FL101, SK900, Row, expect_words, order_page, pay, status_of
from support.services import Service
from support.stacks import Stack

pytestmark = pytest.mark.rest

MOST_BYTES = 60_000
NO_SCRIPTS = r"^failed (net::ERR_FAILED|csp): GET .*[.]js$|^console warning: .* was preloaded"
SCRIPTS = re.compile(r"/static/.*\.js$")


@pytest.mark.parametrize("path", ["/", f"/flights/{FL101}", f"/flights/{SK900}"])
async def test_the_first_view_weighs_60_kb_at_most(open_page: Visitors, stack: Stack, path: str) -> None:
    context = await open_page.newcomer(stack.endpoints.api, **DESKTOP)
    page = await context.new_page()
    weights = await _weigh(page)

    await page.goto(f"{stack.endpoints.api}{path}")
    await expect(page.get_by_role("status").filter(has_text=re.compile(r"\blive\b", re.IGNORECASE))).to_be_visible()

    assert 0 < sum(weights.values()) <= MOST_BYTES, sum(weights.values())


async def test_the_first_view_of_an_order_weighs_60_kb_at_most(open_page: Visitors, stack: Stack, row: Row) -> None:
    ordered = await order_page(open_page, stack, row)
    context = await open_page.newcomer(stack.endpoints.api, storage_state=await ordered.context.storage_state())
    page = await context.new_page()
    weights = await _weigh(page)

    await page.goto(ordered.url)
    await expect(page.get_by_label("Payment code")).to_be_visible()

    assert 0 < sum(weights.values()) <= MOST_BYTES, sum(weights.values())


@pytest.mark.parametrize("kept_out", ["by the browser", "on the way"])
async def test_without_scripts_flights_and_free_seats_can_be_read(
    open_page: Visitors, stack: Stack, row: Row, new_customer: Callable[[Stack], Service], kept_out: str
) -> None:
    await new_customer(stack).hold(*row.seats("BE"), flight_id=row.flight_id)
    open_page.allow(NO_SCRIPTS)
    context = await open_page.newcomer(stack.endpoints.api, java_script_enabled=kept_out != "by the browser")
    if kept_out == "on the way":
        await context.route(SCRIPTS, lambda route: route.abort())
    page = await context.new_page()

    await page.goto(f"{stack.endpoints.api}/")
    for number in ("FL101", "FL102", "FL201", "FL202", "SK900"):
        await expect(page.get_by_role("listitem").filter(has_text=number)).to_be_visible()
    await page.get_by_label("From").select_option("SIN")
    await page.get_by_role("button", name="Show").click()
    await expect(page.get_by_role("link", name="SIN to LHR")).to_be_visible()
    await expect(page.get_by_role("link", name="SFO to CHI")).to_have_count(0)
    await page.goto(f"{stack.endpoints.api}{row.path}")
    await expect(page.get_by_text("The seat map did not load.")).to_be_visible()
    await expect(page.get_by_text(re.compile(rf"^Row {row.number} A, C, D, F$"))).to_be_visible()
    await expect(page.get_by_role("grid")).to_have_count(0)
    if kept_out == "by the browser":
        await expect(page.get_by_text("Choose your seats")).to_be_hidden()


async def test_without_scripts_an_order_says_how_it_stands(open_page: Visitors, stack: Stack, row: Row) -> None:
    open_page.allow(NO_SCRIPTS)
    ordered = await order_page(open_page, stack, row, "AB")
    state = await ordered.context.storage_state()
    context = await open_page.newcomer(ordered.url, storage_state=state, java_script_enabled=False)
    page = await context.new_page()

    await page.goto(ordered.url)

    await expect_words(page.get_by_role("main"), ", ".join(row.seats("AB")), "JavaScript", "held for you")
    await pay(ordered, "99999")
    await expect(ordered.get_by_role("article", name="Boarding pass")).to_be_visible()
    await page.reload()
    await expect_words(page.get_by_role("main"), "confirmed", (await status_of(ordered))["reference"])


async def _weigh(page: Page) -> dict[str, float]:
    """Return the transferred bytes of each request, heads included, without live events."""
    debugger = await page.context.new_cdp_session(page)
    await debugger.send("Network.enable")
    weights: dict[str, float] = {}
    streams: set[str] = set()

    def begin(event: dict[str, Any]) -> None:
        if event.get("type") == "EventSource":
            streams.add(event["requestId"])

    def add(event: dict[str, Any], *, is_total: bool = False) -> None:
        request, length = event["requestId"], event["encodedDataLength"]
        if request not in streams:
            weights[request] = length if is_total else weights.get(request, 0) + length

    debugger.on("Network.requestWillBeSent", begin)
    debugger.on("Network.dataReceived", add)
    debugger.on("Network.loadingFinished", lambda event: add(event, is_total=True))
    return weights


async def test_too_many_cookies_of_others_are_explained_and_deleting_them_helps(
    open_page: Visitors, stack: Stack
) -> None:
    api = stack.endpoints.api
    context = await open_page.newcomer(api, **DESKTOP)
    for number in range(5):
        await context.add_cookies([{"name": f"other-{number}", "value": "x" * 4_000, "url": api}])
    page = await context.new_page()

    reply = await page.goto(f"{api}/flights/{FL101}")

    assert reply
    assert reply.status == 431
    await expect(page.get_by_role("heading", level=1)).to_have_text("Your browser sends more than we can read.")
    await expect_words(page.get_by_role("main"), "Delete the cookies", "skyhold-guest", "Nothing was done")
    assert await barriers_of(page) == []
    font = await page.evaluate("getComputedStyle(document.querySelector('h1')).fontWeight")
    assert font == "400", "the page brings its style along"
    await context.clear_cookies(name=re.compile("^other-"))
    await page.get_by_role("link", name="Try again now").click()
    await expect(page.get_by_role("grid").first).to_be_visible()
