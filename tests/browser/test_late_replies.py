"""Replies that are late, duplicate, out of order or lost: the page ends in the correct state, nothing is done twice."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from playwright.async_api import Error, Page, Request, Route, expect

from support.browsers import Visitors
from support.pages import DESKTOP, Row, choose, expect_seat, expect_words, hold, order_page, pay, seat
from support.services import Service
from support.stacks import Stack

pytestmark = pytest.mark.rest

CHANGES = re.compile("/api/orders/[^/]+/seats$")
PAYMENTS = re.compile("/api/orders/[^/]+/pay$")
ORDERS = re.compile("/api/orders$")
ORDER = re.compile("/api/orders/[^/]+$")

Tell = Callable[[Route], Awaitable[None]]


@dataclass
class Delayed:
    """Requests of one kind that are recorded, and whose replies wait until the test releases them."""

    asked: list[Request] = field(default_factory=list)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def wishes(self) -> list[list[str]]:
        return [(request.post_data_json or {"seats": []})["seats"] for request in self.asked]

    async def __call__(self, route: Route) -> None:
        self.asked.append(route.request)
        reply = await route.fetch()
        self.arrived.set()
        await self.let_go.wait()
        with contextlib.suppress(Error):  # the page may be closed
            await route.fulfill(response=reply)


@dataclass
class Lost:
    """Requests of one kind that the server carries out and whose first replies are lost."""

    times: int
    keys: list[str | None] = field(default_factory=list)

    async def __call__(self, route: Route) -> None:
        self.keys.append(await route.request.header_value("Idempotency-Key"))
        reply = await route.fetch()
        if len(self.keys) <= self.times:
            await route.abort("connectionreset")
        else:
            await route.fulfill(response=reply)


@pytest.fixture
def lossy(open_page: Visitors) -> Visitors:
    open_page.allow("net::ERR_CONNECTION_RESET")
    return open_page


async def test_of_many_wishes_in_a_row_the_last_one_counts(open_page: Visitors, stack: Stack, row: Row) -> None:
    page = await open_page(stack.endpoints.api + row.path, **DESKTOP)
    a, b, c, d, e = row.seats("ABCDE")
    await hold(page, a)
    changes = Delayed()
    await page.route(CHANGES, changes)

    await choose(page, b)
    await asyncio.wait_for(changes.arrived.wait(), 10)
    await choose(page, c, d, e, c)
    changes.let_go.set()

    await expect_seat(page, e, "yours")
    await expect_seat(page, c, "available")
    assert changes.wishes == [[a, b], [a, b, d, e]], "one change at a time, and none of those between"


async def test_a_hold_whose_reply_is_lost_is_one_hold(lossy: Visitors, stack: Stack, row: Row) -> None:
    page = await lossy(stack.endpoints.api + row.path, **DESKTOP)
    holds = Lost(times=2)
    await page.route(ORDERS, holds)

    await hold(page, *row.seats("AB"))

    assert len(holds.keys) == 3
    assert len(set(holds.keys)) == 1
    orders = (await (await page.request.get(f"{stack.endpoints.api}/api/orders")).json())["orders"]
    assert [order["seats"] for order in orders] == [row.seats("AB")]


async def test_a_payment_whose_reply_is_lost_is_one_payment(lossy: Visitors, stack: Stack, row: Row) -> None:
    page = await order_page(lossy, stack, row)
    payments = Lost(times=2)
    await page.route(PAYMENTS, payments)

    await pay(page, "99999")

    await expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("for good"))
    assert len(set(payments.keys)) == 1
    history = await (await page.request.get(f"{_api_of(page)}/history")).json()
    statuses = [event["status"] for event in history["events"]]
    assert statuses.count("PAYMENT_PENDING") == 1


async def test_a_reply_that_was_overtaken_by_an_event_changes_nothing(
    open_page: Visitors, stack: Stack, row: Row
) -> None:
    page = await order_page(open_page, stack, row)
    look = Delayed()
    await page.route(ORDER, look, times=1)
    await page.evaluate("window.dispatchEvent(new Event('online'))")
    await asyncio.wait_for(look.arrived.wait(), 10)
    reply = await page.request.post(f"{_api_of(page)}/pay", data={"paymentCode": "99999"})
    assert reply.status == 202
    headline = page.get_by_role("heading", level=1)
    await expect(headline).to_have_text(re.compile("for good"))

    async with page.expect_event("requestfinished", lambda request: request == look.asked[0]):
        look.let_go.set()

    await page.evaluate("new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))")
    await expect(headline).to_have_text(re.compile("for good"))


@pytest.mark.long
async def test_an_end_that_cannot_be_looked_at_is_looked_at_until_it_can(
    lossy: Visitors, stack: Stack, row: Row
) -> None:
    page = await order_page(lossy, stack, row)
    looks = Lost(times=2)
    await page.route(ORDER, looks)

    await page.request.delete(_api_of(page))

    await expect(page.get_by_role("heading", level=1)).to_have_text("The booking was cancelled.")
    assert len(looks.keys) >= 3
    await expect(page.get_by_text("The connection is lost")).to_be_hidden()


async def test_a_page_left_while_it_asked_finds_its_hold(open_page: Visitors, stack: Stack, row: Row) -> None:
    page = await open_page(stack.endpoints.api + row.path, **DESKTOP)
    holds = Delayed()
    await page.route(ORDERS, holds)
    await choose(page, *row.seats("AB"))
    await page.get_by_role("button", name=re.compile("^Hold ")).click()
    await asyncio.wait_for(holds.arrived.wait(), 10)

    await page.unroute_all(behavior="ignoreErrors")
    await page.reload()
    holds.let_go.set()

    await expect_seat(page, row.seats("A")[0], "yours")
    await expect_words(page.get_by_role("complementary"), "Yours for")


async def test_another_window_shows_at_once_what_this_one_holds(open_page: Visitors, stack: Stack, row: Row) -> None:
    page = await open_page(stack.endpoints.api + row.path, **DESKTOP)
    other = await page.context.new_page()
    await other.goto(page.url)
    await expect(seat(other, row.seats("A")[0])).to_be_visible()

    await hold(page, *row.seats("AB"))

    await expect_seat(other, row.seats("A")[0], "yours")
    await _change_in(other, row.seats("C")[0])
    await expect_seat(page, row.seats("C")[0], "yours")
    await expect_words(page.get_by_role("complementary"), "another window")


async def test_a_change_in_another_window_is_told_where_no_event_comes_through(
    open_page: Visitors, stack: Stack, row: Row
) -> None:
    page = await open_page(stack.endpoints.api + row.path, **DESKTOP)
    await page.route(re.compile("/api/orders/.*/events"), lambda _: None)
    await hold(page, *row.seats("AB"))
    other = await page.context.new_page()
    await other.goto(page.url)
    await expect_seat(other, row.seats("A")[0], "yours")

    await _change_in(other, row.seats("C")[0])

    await expect_seat(page, row.seats("C")[0], "yours")
    await expect_words(page.get_by_role("complementary"), "another window")


async def test_a_change_over_a_lost_reply_is_one_change(lossy: Visitors, stack: Stack, row: Row) -> None:
    page = await lossy(stack.endpoints.api + row.path, **DESKTOP)
    await hold(page, *row.seats("A"))
    changes = Lost(times=1)
    await page.route(CHANGES, changes)

    await choose(page, *row.seats("B"))

    await expect_seat(page, row.seats("B")[0], "yours")
    assert len(set(changes.keys)) == 1
    orders = (await (await page.request.get(f"{stack.endpoints.api}/api/orders")).json())["orders"]
    assert orders[0]["version"] == 2, "the seats were changed once"


async def test_a_wish_for_a_seat_that_is_gone_does_not_undo_the_wishes_after_it(
    open_page: Visitors, stack: Stack, row: Row, new_customer: Callable[[Stack], Service]
) -> None:
    open_page.allow("net::ERR_FAILED")
    page = await open_page(stack.endpoints.api + row.path, **DESKTOP)
    a, b, c = row.seats("ABC")
    await hold(page, a)
    changes = Delayed()
    await page.route(CHANGES, changes)
    await page.route(re.compile("/events$"), lambda route: route.abort())  # the page gets no events
    await page.reload()
    await expect_seat(page, a, "yours")
    await new_customer(stack).hold(b, flight_id=row.flight_id)

    await choose(page, b)
    await asyncio.wait_for(changes.arrived.wait(), 10)
    await choose(page, c)
    changes.let_go.set()

    await expect_seat(page, c, "yours")
    await expect_words(page.get_by_role("complementary"), f"{b} was just taken")
    assert changes.wishes == [[a, b], [a, c]]


def _api_of(page: Page) -> str:
    return page.url.replace("/orders/", "/api/orders/")


async def _change_in(page: Page, seat_id: str) -> None:
    await choose(page, seat_id)
    await expect_seat(page, seat_id, "yours")
