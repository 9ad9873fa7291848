"""The network fails, the API dies, the page is reloaded: the page says so, catches up, and nothing happens twice."""

from __future__ import annotations

import os
import re
import signal

import httpx
import pytest
from playwright.async_api import Page, expect

from support.browsers import Visitors
from support.pages import (
    DESKTOP,
    PHONE,
    Row,
    choose,
    expect_right_clock,
    expect_seat,
    expect_words,
    hold,
    order_page,
    pay,
    seat,
    seconds_left,
    status_of,
)
from support.services import eventually
from support.stacks import Stack

pytestmark = pytest.mark.rest

CUT = (
    r"net::ERR_(INTERNET_DISCONNECTED|CONNECTION_|INCOMPLETE_CHUNKED|CONTENT_LENGTH_MISMATCH|EMPTY_RESPONSE|"
    r"NETWORK_CHANGED|SOCKET_NOT_CONNECTED)"
)
LOST = re.compile("connection is lost", re.IGNORECASE)


@pytest.fixture
def cut_off(open_page: Visitors) -> Visitors:
    """Visitors whose network may fail."""
    open_page.allow(CUT, "answered 503")
    return open_page


async def test_a_hold_asked_for_without_a_network_is_held_once_when_it_is_back(
    cut_off: Visitors, stack: Stack, row: Row
) -> None:
    page = await cut_off(f"{stack.endpoints.api}{row.path}", **DESKTOP)
    keys = _keys_of(page, "/api/orders")
    await choose(page, *row.seats("AB"))
    await page.context.set_offline(offline=True)

    await page.get_by_role("button", name=re.compile("^Hold 2 seats")).click()

    await expect_words(page.get_by_role("complementary"), "No answer yet.")
    await page.context.set_offline(offline=False)
    await expect_seat(page, row.seats("B")[0], "yours")
    assert len(keys) > 1
    assert len(set(keys)) == 1
    orders = (await (await page.request.get(f"{stack.endpoints.api}/api/orders")).json())["orders"]
    assert [order["seats"] for order in orders] == [row.seats("AB")]


async def test_a_payment_sent_without_a_network_is_made_once_when_it_is_back(
    cut_off: Visitors, stack: Stack, row: Row
) -> None:
    page = await order_page(cut_off, stack, row)
    keys = _keys_of(page, "/pay")
    await page.context.set_offline(offline=True)

    await pay(page, "99999")

    await expect(page.get_by_role("main").get_by_text("No answer yet")).to_be_visible()
    await expect(page.get_by_role("heading", level=1)).to_have_text(f"{row.number}A is yours.")
    await eventually(lambda: _were_sent(keys, 2))
    await page.context.set_offline(offline=False)
    await expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("yours for good"))
    await expect(page.get_by_role("main").get_by_text("No answer yet")).to_be_hidden()
    assert len(set(keys)) == 1
    assert await _statuses_of(page) == ["SEATS_RESERVED", "PAYMENT_PENDING", "PAYMENT_PROCESSING", "CONFIRMED"]


async def test_on_a_phone_a_lost_network_is_told_where_the_customer_looks(
    cut_off: Visitors, stack: Stack, row: Row
) -> None:
    page = await order_page(cut_off, stack, row, **PHONE)
    await page.context.set_offline(offline=True)

    await pay(page, "99999")

    await expect(page.get_by_role("main").get_by_text("No answer yet")).to_be_in_viewport()
    await page.context.set_offline(offline=False)
    await expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("yours for good"))


async def test_a_network_lost_while_the_bank_is_asked_hides_no_outcome(
    cut_off: Visitors, failing_stack: Stack, row: Row
) -> None:
    page = await order_page(cut_off, failing_stack, row)
    await pay(page, "12345")
    await expect_words(page.get_by_role("main"), "Contacting the bank, attempt 1 of 3")

    await page.context.set_offline(offline=True)

    await expect(page.get_by_role("main").get_by_text(LOST)).to_be_visible()
    await expect_words(page.get_by_role("main"), "Your seats are safe")
    await eventually(lambda: _has_status(page, "FAILED"))
    await expect_words(page.get_by_role("main"), "Your seats are safe")  # No failure is shown before it is certain.
    await page.context.set_offline(offline=False)
    await expect_words(page.get_by_role("main"), "did not go through", "Nothing was charged.")
    await expect(page.get_by_role("main").get_by_text(LOST)).to_be_hidden()


async def test_the_clock_goes_on_without_a_network(cut_off: Visitors, stack: Stack, row: Row) -> None:
    page = await order_page(cut_off, stack, row)

    await page.context.set_offline(offline=True)

    await expect(page.get_by_role("main").get_by_text(LOST)).to_be_visible()
    before = await seconds_left(page)
    await eventually(lambda: _shows_less_than(page, before))
    await page.context.set_offline(offline=False)
    await expect(page.get_by_role("main").get_by_text(LOST)).to_be_hidden()
    await expect_right_clock(page)


async def test_pages_come_back_by_themselves_when_the_api_is_killed(cut_off: Visitors, stack: Stack, row: Row) -> None:
    page = await cut_off(f"{stack.endpoints.api}{row.path}", **DESKTOP)
    [first, second] = row.seats("AB")
    await hold(page, first)
    order = await page.context.new_page()
    await order.goto(str(await page.get_by_role("link", name=re.compile("^Pay ")).evaluate("(link) => link.href")))
    await expect(order.get_by_role("timer")).to_be_visible()
    flights = await page.context.new_page()
    await flights.goto(f"{stack.endpoints.api}/")
    killed = stack.endpoints.pids.api
    assert isinstance(killed, int)

    os.kill(killed, signal.SIGKILL)

    await seat(page, second).click()  # Chosen while the API does not answer.
    await eventually(lambda: _is_ready(stack), seconds=60)  # A new API loads slowly.
    await expect_seat(page, second, "yours")
    await expect(order.get_by_role("heading", level=1)).to_have_text(f"{first} and {second} are yours.")
    for each in (page, flights):
        await expect(each.get_by_role("status").filter(has_text=re.compile(r"\blive\b", re.IGNORECASE))).to_be_visible()
    assert stack.endpoints.pids.api != killed
    await pay(order, "99999")
    await expect(order.get_by_role("article", name="Boarding pass")).to_be_visible()


async def test_a_hold_survives_that_its_pages_are_loaded_anew(open_page: Visitors, stack: Stack, row: Row) -> None:
    page = await open_page(f"{stack.endpoints.api}{row.path}", **DESKTOP)
    await hold(page, *row.seats("AB"))
    shown = await seconds_left(page)
    await eventually(lambda: _shows_less_than(page, shown))

    await page.reload()

    for seat_id in row.seats("AB"):
        await expect_seat(page, seat_id, "yours")
    assert await seconds_left(page) < shown, "it goes on, and does not start again"
    await page.get_by_role("link", name=re.compile("^Pay ")).click()
    await expect(page.get_by_label("Payment code")).to_be_visible()
    await page.reload()
    await expect(page.get_by_role("heading", level=1)).to_have_text(f"{' and '.join(row.seats('AB'))} are yours.")
    assert await seconds_left(page) < shown
    await page.get_by_role("link", name="Change seats").click()
    await expect_seat(page, row.seats("A")[0], "yours")


async def test_a_payment_and_its_end_survive_that_the_page_is_loaded_anew(
    open_page: Visitors, failing_stack: Stack, row: Row
) -> None:
    page = await order_page(open_page, failing_stack, row)
    await pay(page, "12345")
    await expect_words(page.get_by_role("main"), "Contacting the bank, attempt 1 of 3")
    stands_at = await seconds_left(page)

    await page.reload()

    await expect_words(page.get_by_role("main"), "Your seats are safe while we finish.", "Contacting the bank")
    await expect(page.get_by_label("Payment code")).to_have_count(0)
    assert abs(stands_at - await seconds_left(page)) <= 1
    await expect_words(page.get_by_role("main"), "did not go through", "Attempts: 3 of 3")
    await page.reload()
    await expect_words(page.get_by_role("main"), "did not go through", "Nothing was charged.", "Attempts: 3 of 3")


@pytest.mark.long
async def test_a_boarding_pass_survives_that_its_page_is_loaded_anew(
    open_page: Visitors, stack: Stack, row: Row
) -> None:
    page = await order_page(open_page, stack, row)
    await pay(page, "99999")
    boarding_pass = page.get_by_role("article", name="Boarding pass")
    await expect(boarding_pass).to_be_visible()
    before = await boarding_pass.inner_text()

    await page.reload()

    await expect(boarding_pass).to_have_text(re.compile(r"\w"))
    assert await boarding_pass.inner_text() == before


def _keys_of(page: Page, end: str) -> list[str]:
    """Return a list that collects the keys of commands sent to addresses with this ending."""
    keys: list[str] = []
    page.on(
        "request",
        lambda request: (
            keys.append(request.headers["idempotency-key"])
            if request.method == "POST" and request.url.endswith(end)
            else None
        ),
    )
    return keys


async def _statuses_of(page: Page) -> list[str]:
    reply = await page.request.get(f"{page.url.replace('/orders/', '/api/orders/')}/history")
    statuses = [event["status"] for event in (await reply.json())["events"]]
    return statuses[statuses.index("SEATS_RESERVED") :]


async def _is_ready(stack: Stack) -> bool:
    async with httpx.AsyncClient(timeout=5) as client:
        try:
            return (await client.get(f"{stack.endpoints.api}/readyz")).status_code == 200
        except httpx.TransportError:
            return False


async def _has_status(page: Page, status: str) -> bool:
    return bool((await status_of(page))["status"] == status)


async def _shows_less_than(page: Page, seconds: int) -> bool:
    return await seconds_left(page) < seconds


async def _were_sent(keys: list[str], number: int) -> bool:
    return len(keys) >= number
