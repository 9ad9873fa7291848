"""Price changes while customers choose: shown live, confirmed before a charge, and not applied to held seats."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest
from playwright.async_api import Page, Route, expect

from support.browsers import Visitors
from support.pages import (
    DESKTOP,
    Row,
    choose,
    expect_seat,
    expect_words,
    go_to_payment,
    hold,
    order_page,
    seat,
    status_of,
)
from support.picker_harness import a_flight, events_of, next_frame, open_picker, seat_of, show
from support.stacks import Stack

pytestmark = pytest.mark.rest

RAISED = 40000

SetPrice = Callable[..., Awaitable[None]]


@pytest.fixture
async def set_price(stack: Stack, row: Row) -> AsyncIterator[SetPrice]:
    """Yield `set_price("A", "B", cents=...)`: sets prices of the row's seats by SQL; undone at the end."""
    connection = await asyncpg.connect(stack.endpoints.database_url)
    query = "SELECT seat_id, price_cents FROM seats WHERE flight_id = $1 AND row_number = $2"
    before = await connection.fetch(query, row.flight_id, row.number)
    update = "UPDATE seats SET price_cents = $3, version = version + 1 WHERE flight_id = $1 AND seat_id = $2"

    async def set_one(*letters: str, cents: int = RAISED) -> None:
        for seat_id in row.seats("".join(letters)):
            await connection.execute(update, row.flight_id, seat_id, cents)

    yield set_one
    for kept in before:
        await connection.execute(update, row.flight_id, kept["seat_id"], kept["price_cents"])
    await connection.close()


async def _usual(stack: Stack, row: Row) -> int:
    connection = await asyncpg.connect(stack.endpoints.database_url)
    cents: int = await connection.fetchval("SELECT price_cents FROM flights WHERE id = $1", row.flight_id)
    await connection.close()
    return cents


def _dollars(cents: int) -> str:
    return f"${cents / 100:,.2f}".removesuffix(".00")


async def _cut_off_from_news(page: Page) -> None:
    """Block all events of the flight, so that the page keeps its present state."""
    await page.route("**/api/flights/*/events", lambda route: route.abort())
    await page.reload()


async def test_a_price_that_changes_is_shown_while_one_looks(
    open_page: Visitors, stack: Stack, row: Row, set_price: SetPrice
) -> None:
    page = await open_page(f"{stack.endpoints.api}{row.path}", **DESKTOP)
    [seat_id] = row.seats("A")
    await choose(page, seat_id)
    usual = await _usual(stack, row)
    panel = page.get_by_role("complementary")
    await expect_words(panel, _dollars(usual))
    await expect(page.get_by_text("Live", exact=True)).to_be_visible()

    await set_price("A")

    await expect(seat(page, seat_id)).to_have_accessible_name(re.compile("400 dollars"))
    await expect_words(panel, "$400")
    await page.get_by_role("button", name="Hold 1 seat").click()
    await go_to_payment(page)
    await expect(page.get_by_role("button", name="Pay $400")).to_be_visible()


async def test_seats_that_cost_more_than_was_shown_are_held_only_when_the_customer_agrees(
    open_page: Visitors, stack: Stack, row: Row, set_price: SetPrice
) -> None:
    page = await open_page(f"{stack.endpoints.api}{row.path}", **DESKTOP)
    open_page.allow("ERR_FAILED")
    await _cut_off_from_news(page)
    seats = row.seats("AB")
    usual = await _usual(stack, row)
    await choose(page, *seats)
    await set_price("B")
    await page.get_by_role("button", name="Hold 2 seats").click()

    panel = page.get_by_role("complementary")
    await expect_words(panel, "The price has changed.", _dollars(2 * usual), _dollars(usual + RAISED))
    await expect(panel.get_by_role("timer")).to_be_hidden()
    await panel.get_by_role("button", name=f"Hold for {_dollars(usual + RAISED)}").click()

    for seat_id in seats:
        await expect_seat(page, seat_id, "yours")
    await expect(seat(page, seats[1])).to_have_accessible_name(re.compile("400 dollars, yours"))
    await go_to_payment(page)
    await expect(page.get_by_role("button", name=f"Pay {_dollars(usual + RAISED)}")).to_be_visible()


async def test_the_old_price_is_the_one_that_was_sent_whatever_came_meanwhile(
    open_page: Visitors, stack: Stack, row: Row, set_price: SetPrice
) -> None:
    page = await open_page(f"{stack.endpoints.api}{row.path}", **DESKTOP)
    usual = await _usual(stack, row)
    await choose(page, *row.seats("C"))

    async def raise_on_the_way(route: Route) -> None:
        await set_price("C", cents=next(prices))
        await expect(seat(page, row.seats("C")[0])).to_have_accessible_name(re.compile(f"{shown.pop(0)} dollars"))
        await route.continue_()

    prices, shown = iter([RAISED, 45000]), ["400", "450"]
    await page.route("**/api/orders", raise_on_the_way)
    panel = page.get_by_role("complementary")
    await page.get_by_role("button", name="Hold 1 seat").click()
    await expect_words(panel, f"cost {_dollars(usual)} when you chose, and {_dollars(RAISED)} now.")

    await panel.get_by_role("button", name=f"Hold for {_dollars(RAISED)}").click()

    await expect_words(panel, f"cost {_dollars(RAISED)} when you chose, and {_dollars(45000)} now.")


async def test_a_change_that_costs_more_than_was_shown_keeps_the_seats_unless_the_customer_agrees(
    open_page: Visitors, stack: Stack, row: Row, set_price: SetPrice
) -> None:
    page = await open_page(f"{stack.endpoints.api}{row.path}", **DESKTOP)
    open_page.allow("ERR_FAILED")
    await _cut_off_from_news(page)
    [kept, wanted] = row.seats("AB")
    usual = await _usual(stack, row)
    await hold(page, kept)
    await set_price("A", "B")
    await choose(page, wanted)

    panel = page.get_by_role("complementary")
    await expect_words(panel, "The price has changed.", _dollars(usual + RAISED))
    await panel.get_by_role("button", name="Keep my seats").click()
    await expect(panel.get_by_text("The price has changed.")).to_be_hidden()
    await expect_seat(page, kept, "yours")
    await expect_seat(page, wanted, "available")

    await choose(page, wanted)
    await panel.get_by_role("button", name=f"Change for {_dollars(usual + RAISED)}").click()
    await expect_seat(page, wanted, "yours")
    await go_to_payment(page)
    assert (await status_of(page))["seats"] == [kept, wanted]


async def test_held_seats_are_drawn_at_the_prices_of_their_order(
    open_page: Visitors, stack: Stack, row: Row, set_price: SetPrice
) -> None:
    page = await open_page(f"{stack.endpoints.api}{row.path}", **DESKTOP)
    [held, free] = row.seats("AB")
    await hold(page, held)
    usual = await _usual(stack, row)
    await set_price("A", "B")

    await expect(seat(page, free)).to_have_accessible_name(re.compile("400 dollars, available"))
    own = re.compile(f"{usual // 100} dollars, yours")
    await expect(seat(page, held)).to_have_accessible_name(own)
    await page.reload()
    await expect(seat(page, held)).to_have_accessible_name(own)
    await expect_words(page.get_by_role("complementary"), f"Pay {_dollars(usual)}")


async def test_the_same_seats_are_held_again_at_another_price_only_when_the_customer_agrees(
    open_page: Visitors, stack: Stack, row: Row, set_price: SetPrice
) -> None:
    page = await order_page(open_page, stack, row, "A")
    await page.get_by_role("button", name="Give the seat back").click()
    usual = await _usual(stack, row)
    await set_price("A")
    await page.get_by_role("button", name=f"Hold {row.number}A again for {_dollars(usual)}").click()

    await expect_words(page.get_by_role("main"), "The price has changed.", _dollars(usual), "$400")
    await page.get_by_role("button", name=f"Hold {row.number}A for $400").click()

    await expect(page.get_by_role("heading", level=1)).to_have_text(f"{row.number}A is yours.")
    await expect(page.get_by_role("button", name="Pay $400")).to_be_visible()


# -- The picker alone --------------------------------------------------------------------------------------------------


async def test_a_price_is_drawn_wherever_it_stands(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight())
    await page.get_by_text("Choose from a list").click()
    await page.evaluate("picker.apply([{ id: '14C', status: 'available', version: 2, priceCents: 41250 }])")
    await next_frame(page)

    await expect(seat_of(page, "14C")).to_have_accessible_name(re.compile(r"412.50 dollars|412 dollars 50"))
    await expect(seat_of(page, "14C")).to_have_attribute("data-tier", "1")
    await expect(page.get_by_role("option", name=re.compile("^14C,"))).to_contain_text("$412.50")
    await expect(page.get_by_role("button", name="$412.50")).to_be_visible()
    await expect(page.get_by_role("heading", name="Economy").locator("..")).to_contain_text("from $350")
    await page.get_by_role("button", name="$412.50").click()
    await page.evaluate("picker.apply([{ id: '14C', status: 'available', version: 3, priceCents: 35000 }])")
    await next_frame(page)
    await expect(page.get_by_role("button", name="$412.50")).to_have_count(0)
    await expect(page.locator(".dim")).to_have_count(0)


async def test_an_older_price_counts_for_nothing(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight())
    await page.evaluate("picker.apply([{ id: '14C', status: 'available', version: 1, priceCents: 1 }])")
    await next_frame(page)
    await expect(seat_of(page, "14C")).to_have_accessible_name(re.compile("350 dollars"))


# -- Released seats ----------------------------------------------------------------------------------------------------


async def test_a_seat_that_came_back_before_its_refusal_takes_a_click(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight())
    await page.evaluate("picker.apply([{ id: '14B', status: 'available', version: 3 }])")
    # The refusal is older than that.
    await page.evaluate("picker.showConflict({ taken: [{ id: '14B', status: 'reserved' }], near: [] })")
    await expect(seat_of(page, "14B")).to_have_attribute("data-st", "held")

    await seat_of(page, "14B").click(force=True)  # it is drawn as taken, and marked so for assistive technology

    assert [(event["type"], event.get("seats")) for event in await events_of(page)] == [("want", ["14B"])]


async def test_a_seat_of_another_order_of_ones_own_that_came_back_takes_a_click(
    open_page: Visitors, stack: Stack, row: Row
) -> None:
    api, [other, held] = stack.endpoints.api, row.seats("AB")
    context = await open_page.newcomer(api, **DESKTOP)
    orders = []
    for seat_id in (other, held):
        reply = await context.request.post(f"{api}/api/orders", data={"flightId": row.flight_id, "seats": [seat_id]})
        orders.append((await reply.json())["orderId"])
    page = await context.new_page()
    await page.goto(f"{api}{row.path}?order={orders[1]}")
    await expect_seat(page, other, "yours, in another order")

    gone = await context.request.delete(f"{api}/api/orders/{orders[0]}")
    assert gone.status == 204

    await expect_seat(page, other, "available")
    await choose(page, other)
    await expect_seat(page, other, "yours")


async def test_the_owner_may_say_what_held_seats_cost(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight())
    await show(page, wanted=["14C"], held=["14C"], prices=[["14C", 30000]])
    await expect(seat_of(page, "14C")).to_have_accessible_name(re.compile("300 dollars, yours"))
