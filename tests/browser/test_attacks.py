"""Customers, browsers and networks at bad moments: no page hangs, floods the API, or shows wrong facts."""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from playwright.async_api import Page, Request, Route, expect

from support.browsers import Visitors
from support.pages import (
    DESKTOP,
    SK900,
    Row,
    choose,
    expect_seat,
    expect_words,
    hold,
    order_page,
    pay,
    seat,
    seconds_of,
    status_of,
    told_by,
)
from support.services import eventually
from support.stacks import Stack

pytestmark = pytest.mark.rest


@pytest.fixture(scope="package")
def _rows() -> Sequence[Row]:
    """Return rows of the large aircraft; other tests use rows 30 to 34."""
    return [Row(SK900, number) for number in (*range(20, 30), *range(35, 48))]


@dataclass
class Busy:
    """A server that refuses for five seconds, with Retry-After."""

    refused: int = 0
    ends_at: float = 0.0

    async def __call__(self, route: Route) -> None:
        self.ends_at = self.ends_at or time.monotonic() + 5
        left = self.ends_at - time.monotonic()
        if left <= 0:
            await route.continue_()
            return
        self.refused += 1
        await route.fulfill(status=429, headers={"Retry-After": str(math.ceil(left))}, json={"error": "RATE_LIMITED"})


async def test_a_wish_that_is_refused_for_good_is_sent_once(open_page: Visitors, stack: Stack, row: Row) -> None:
    """This happens to a page that was loaded before the server's limit of seats per order was lowered."""
    context = await open_page.newcomer(stack.endpoints.api, **DESKTOP)
    page = await context.new_page()
    await page.route(f"**{row.path}", _allow_more_seats)
    await _hold_by_api(page, stack, row, "ABCDEFHJK")
    sent = _requests_of(page, "PUT", "/seats$")
    await page.goto(stack.endpoints.api + row.path)
    one_more = "48A"

    await choose(page, one_more)

    await expect_words(page.get_by_role("complementary"), "at most 9 seats")
    await expect_seat(page, one_more, "available")
    assert len(sent) == 1


@pytest.mark.long
async def test_a_page_that_came_up_at_the_third_try_follows_a_hold_once(
    open_page: Visitors, stack: Stack, row: Row
) -> None:
    open_page.allow("net::ERR_FAILED")
    context = await open_page.newcomer(stack.endpoints.api, **DESKTOP)
    page = await context.new_page()
    await page.route("**/api/flights/*", lambda route: route.abort(), times=3)
    await page.goto(stack.endpoints.api + row.path)
    await expect(seat(page, row.seats("A")[0])).to_be_visible()
    looks, streams = _requests_of(page, "GET", r"/orders\?"), _requests_of(page, "GET", "/orders/.*/events$")

    await hold(page, *row.seats("A"))

    await _after_news_from_another_window(page)
    assert len(looks) == 1, "one look, for the news"
    assert len(streams) == 1


async def test_a_page_opened_behind_others_takes_up_no_connection_until_it_is_looked_at(
    open_page: Visitors, stack: Stack, row: Row
) -> None:
    context = await open_page.newcomer(stack.endpoints.api, **DESKTOP)
    page = await context.new_page()
    await page.add_init_script(HIDDEN)
    streams = _requests_of(page, "GET", "/events$")
    await page.goto(stack.endpoints.api + row.path)
    await expect(seat(page, row.seats("A")[0])).to_be_visible()
    await page.evaluate("window.dispatchEvent(new Event('online'))")
    await _after_news_from_another_window(page)
    assert not streams

    await page.evaluate("window.isHidden = false; document.dispatchEvent(new Event('visibilitychange'))")

    await expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()
    assert len(streams) == 1


async def test_a_browser_that_keeps_nothing_for_pages_can_hold_seats(
    open_page: Visitors, stack: Stack, row: Row
) -> None:
    context = await open_page.newcomer(stack.endpoints.api, **DESKTOP)
    page = await context.new_page()
    await page.add_init_script(
        "Object.defineProperty(window, 'sessionStorage', { get() { throw new DOMException('', 'SecurityError'); } });"
    )
    await page.goto(stack.endpoints.api + row.path)

    await hold(page, *row.seats("A"))


@pytest.mark.parametrize("pasted", [" 12345", "12 345", "Code: 1-2-3-4-5", "12345\t"])
async def test_of_a_pasted_code_its_digits_count(open_page: Visitors, stack: Stack, row: Row, pasted: str) -> None:
    page = await order_page(open_page, stack, row, permissions=["clipboard-read", "clipboard-write"])
    await page.evaluate("(text) => navigator.clipboard.writeText(text)", pasted)
    code = page.get_by_label("Payment code")
    await code.focus()

    await page.keyboard.press("Control+v")

    await expect(code).to_have_value("12345")


async def test_a_sixth_digit_cannot_be_typed(open_page: Visitors, stack: Stack, row: Row) -> None:
    page = await order_page(open_page, stack, row)
    code = page.get_by_label("Payment code")

    await code.press_sequentially("1234567")

    await expect(code).to_have_value("12345")


async def test_an_outcome_is_told_where_no_event_comes_through(open_page: Visitors, stack: Stack, row: Row) -> None:
    """This happens behind a proxy that buffers a stream until its end."""
    open_page.allow("net::ERR_FAILED")
    context = await open_page.newcomer(stack.endpoints.api, **DESKTOP)
    page = await context.new_page()
    await page.route("**/events", lambda route: route.abort())
    order_id = await _hold_by_api(page, stack, row, "A")
    await page.goto(f"{stack.endpoints.api}/orders/{order_id}")

    await pay(page, "99999")

    await expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("for good"))


@pytest.mark.long
async def test_the_clock_is_right_though_the_page_came_up_long_after_its_order(
    open_page: Visitors, stack: Stack, row: Row
) -> None:
    context = await open_page.newcomer(stack.endpoints.api, **DESKTOP)
    page = await context.new_page()
    order_id = await _hold_by_api(page, stack, row, "A")
    await page.route("**/order.js", _after_four_seconds)

    await page.goto(f"{stack.endpoints.api}/orders/{order_id}")

    await expect(page.get_by_role("timer")).to_be_visible()
    shown, reply = await asyncio.gather(
        page.get_by_role("timer").inner_text(),
        page.request.get(f"{stack.endpoints.api}/api/orders/{order_id}/status"),
    )
    assert abs(seconds_of(shown) - (await reply.json())["timerRemaining"]) <= 1


async def test_a_browser_that_forgot_whose_it_is_is_told_so(open_page: Visitors, stack: Stack, row: Row) -> None:
    page = await open_page(stack.endpoints.api + row.path, **DESKTOP)
    [first, second] = row.seats("AB")
    await hold(page, first)
    await page.context.clear_cookies()

    await choose(page, second)

    panel = page.get_by_role("complementary")
    await expect_words(panel, "Choose your seats", "this browser no longer has the cookie")
    await expect(panel.get_by_role("timer")).to_be_hidden()


@pytest.mark.long
async def test_what_another_window_holds_went_to_nobody_else(open_page: Visitors, stack: Stack, row: Row) -> None:
    page = await open_page(stack.endpoints.api + row.path, **DESKTOP)
    other = await page.context.new_page()
    await other.goto(page.url)
    for window in (page, other):
        await choose(window, *row.seats("AB"))
    told = await told_by(other)

    await page.get_by_role("button", name=re.compile("^Hold ")).click()

    await expect(other.get_by_role("timer")).to_be_visible()
    assert not [text for text in await told() if "someone else" in text]


async def test_seats_given_back_while_they_are_being_changed_are_given_back(
    open_page: Visitors, stack: Stack, row: Row
) -> None:
    page = await open_page(stack.endpoints.api + row.path, **DESKTOP)
    [first, second] = row.seats("AB")
    await hold(page, first)
    asked, let_go = asyncio.Event(), asyncio.Event()

    async def delay(route: Route) -> None:
        asked.set()
        await let_go.wait()
        await route.continue_()

    await page.route("**/seats", delay)
    await choose(page, second)
    await asyncio.wait_for(asked.wait(), 10)

    await page.get_by_role("button", name="Give it back").click()
    let_go.set()

    await expect_words(page.get_by_role("complementary"), "You gave the seats back.")
    for seat_id in (first, second):
        await expect_seat(page, seat_id, "(available|chosen, not yet held)")


async def test_an_outcome_that_came_before_the_page_knew_the_clock_stays(
    open_page: Visitors, stack: Stack, row: Row
) -> None:
    """A payment at the last moment: the page requests the clock's state, and the gateway is faster than the reply."""
    open_page.allow("net::ERR_FAILED")
    context = await open_page.newcomer(stack.endpoints.api, **DESKTOP)
    page = await context.new_page()
    await page.route("**/events", lambda route: route.abort())
    order_id = await _hold_by_api(page, stack, row, "A")
    await page.goto(f"{stack.endpoints.api}/orders/{order_id}")
    headline = page.get_by_role("heading", level=1)
    await expect(page.get_by_role("timer")).to_be_visible()

    async def pay_at_the_last_moment(route: Route) -> None:
        await page.evaluate(CLOCK_AT_ITS_END)
        await route.continue_()

    async def answer_last(route: Route) -> None:
        await eventually(lambda: _is_confirmed(page))
        await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        await expect(headline).to_have_text(re.compile("for good"))
        await route.continue_()

    await page.route("**/pay", pay_at_the_last_moment)
    await page.route("**/history", answer_last)

    async with page.expect_event("requestfinished", lambda request: request.url.endswith("/history")):
        await pay(page, "99999")

    await page.evaluate("new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))")
    assert "for good" in await headline.inner_text()


@pytest.mark.parametrize("what", ["flights", pytest.param("orders", marks=pytest.mark.long)])
async def test_a_page_that_is_told_to_wait_waits(open_page: Visitors, stack: Stack, row: Row, what: str) -> None:
    context = await open_page.newcomer(stack.endpoints.api, **DESKTOP)
    page = await context.new_page()
    order_id = await _hold_by_api(page, stack, row, "A")
    busy = Busy()
    await page.route(f"**/api/{what}/*", busy)

    await page.goto(stack.endpoints.api + (row.path if what == "flights" else f"/orders/{order_id}"))

    await expect(page.get_by_role("timer")).to_be_visible()
    assert busy.refused == 1


@pytest.mark.long
async def test_nothing_is_said_of_a_payment_that_was_cut_off(
    open_page: Visitors, failing_stack: Stack, row: Row
) -> None:
    page = await order_page(open_page, failing_stack, row)
    await pay(page, "12345")
    await expect_words(page.get_by_role("main"), "Contacting the bank, attempt 1")

    failing_stack.temporal("workflow", "cancel", "--workflow-id", f"booking-{page.url.rpartition('/')[2]}")

    await expect_words(page.get_by_role("main"), "Nothing was charged.")
    await expect(page.get_by_role("main")).not_to_contain_text("No payment was started")


HIDDEN = """
window.isHidden = true;
Object.defineProperty(Document.prototype, "hidden", { get: () => window.isHidden });
"""

CLOCK_AT_ITS_END = """async () => {
    const page = document.querySelector("script[type=module]").src;
    const { serverClock } = await import(page.replace(/order.js$/, "server_clock.js"));
    const now = serverClock.now.bind(serverClock);
    serverClock.now = () => now() + 15 * 60_000;
}"""


async def _is_confirmed(page: Page) -> bool:
    return bool((await status_of(page))["status"] == "CONFIRMED")


async def _hold_by_api(page: Page, stack: Stack, row: Row, letters: str) -> str:
    wish = {"flightId": row.flight_id, "seats": row.seats(letters)}
    reply = await page.request.post(f"{stack.endpoints.api}/api/orders", data=wish)
    assert reply.status == 201, await reply.text()
    order_id: str = (await reply.json())["orderId"]
    return order_id


async def _allow_more_seats(route: Route) -> None:
    reply = await route.fetch()
    text = await reply.text()
    await route.fulfill(response=reply, body=text.replace('data-max-seats="9"', 'data-max-seats="20"'))


async def _after_four_seconds(route: Route) -> None:
    await asyncio.sleep(4)  # The test is about this delay.
    await route.continue_()


async def _after_news_from_another_window(page: Page) -> None:
    """Send the page news of another window, and wait until it has read the order."""
    async with page.expect_response(re.compile(r"/api/orders\?")):
        await page.evaluate("new BroadcastChannel('skyhold-orders').postMessage('')")
    await page.evaluate("new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))")


def _requests_of(page: Page, method: str, pattern: str) -> list[Request]:
    """Return a list that collects the page's requests from now on."""
    found: list[Request] = []
    page.on(
        "request",
        lambda request: found.append(request) if request.method == method and re.search(pattern, request.url) else None,
    )
    return found
