"""Several visitors: strangers at one seat, one customer in two windows, seats that are taken while a page is open."""

from __future__ import annotations

import asyncio
import re
import statistics
from collections.abc import Awaitable, Callable
from datetime import datetime

import pytest
from playwright.async_api import Page, Route, expect

from support.browsers import LONGEST_WAIT_SECONDS, Visitors
from support.pages import (
    DESKTOP,
    FL101,
    Row,
    choose,
    expect_seat,
    expect_words,
    go_to_payment,
    hold,
    order_page,
    pay,
    seat,
    seconds_left,
    status_of,
    told_by,
)
from support.services import Service, eventually
from support.stacks import Stack

pytestmark = pytest.mark.rest

SHOWN_WITHIN_SECONDS = 0.3


async def test_who_wants_a_seat_that_was_just_taken_keeps_what_they_had_and_is_offered_others(
    open_page: Visitors, stack: Stack, new_customer: Callable[[Stack], Service]
) -> None:
    row = Row(FL101, 5)  # The alternatives may be in the rows around it.
    page = await open_page(f"{stack.endpoints.api}{row.path}", **DESKTOP)
    [kept, wanted] = row.seats("AB")
    await hold(page, kept)
    await _cut_off_from_changes(page)
    await new_customer(stack).hold(wanted, flight_id=row.flight_id)

    await seat(page, wanted).click()

    panel = page.get_by_role("complementary")
    await expect_words(panel, f"{wanted} was just taken.", f"You still hold {kept}.")
    await expect_seat(page, kept, "yours")
    await expect(panel.get_by_role("timer")).to_be_visible()
    instead = panel.get_by_role("button", name=re.compile(r"^\d+[A-F]\b")).first
    offered = re.findall(r"\d+[A-F]\b", await instead.inner_text())
    await instead.click()
    for seat_id in offered:
        await expect_seat(page, seat_id, "yours")
    await go_to_payment(page)
    assert set(offered) <= set((await status_of(page))["seats"])


@pytest.mark.core
async def test_a_refusal_shows_every_seat_that_is_taken(
    open_page: Visitors, stack: Stack, row: Row, new_customer: Callable[[Stack], Service]
) -> None:
    page = await open_page(f"{stack.endpoints.api}{row.path}", **DESKTOP)
    await expect_seat(page, row.seats("A")[0], "available")
    await _cut_off_from_changes(page)
    await new_customer(stack).hold(*row.seats("AB"), flight_id=row.flight_id)

    await choose(page, *row.seats("ABC"))
    await page.get_by_role("button", name=re.compile("^Hold 3 seats")).click()

    await expect_words(page.get_by_role("complementary"), " and ".join(row.seats("AB")) + " were just taken.")
    for seat_id in row.seats("AB"):
        await expect_seat(page, seat_id, "on hold")
    await expect_seat(page, row.seats("C")[0], "chosen, not yet held")


@pytest.mark.core
async def test_of_two_who_press_at_the_same_time_one_gets_the_seat(open_page: Visitors, stack: Stack, row: Row) -> None:
    pages = [await open_page(f"{stack.endpoints.api}{row.path}", **DESKTOP) for _ in range(2)]
    [wanted] = row.seats("C")
    both_have_pressed = asyncio.Barrier(len(pages))

    async def send_together(route: Route) -> None:
        if route.request.method == "POST":
            async with asyncio.timeout(LONGEST_WAIT_SECONDS):
                await both_have_pressed.wait()
        await route.continue_()

    for page in pages:
        await page.route("**/api/orders", send_together)
        await choose(page, wanted)

    buttons = [page.get_by_role("button", name=re.compile("^Hold 1 seat")) for page in pages]
    await asyncio.gather(*(button.click() for button in buttons))

    for page in pages:
        loss = page.get_by_text(re.compile(f"{wanted} was just taken|went to someone else"))
        await expect(page.get_by_role("timer").or_(loss).first).to_be_visible()
    winners = [page for page in pages if await page.get_by_role("timer").is_visible()]
    assert len(winners) == 1
    for page in pages:
        await expect_seat(page, wanted, "yours" if page in winners else "on hold")


async def test_a_chosen_seat_that_goes_to_somebody_else_is_told_and_no_longer_chosen(
    open_page: Visitors, stack: Stack, row: Row, new_customer: Callable[[Stack], Service]
) -> None:
    page = await open_page(f"{stack.endpoints.api}{row.path}", **DESKTOP)
    told = await told_by(page)
    [lost, kept] = row.seats("DE")
    await choose(page, lost, kept)

    await new_customer(stack).hold(lost, flight_id=row.flight_id)

    await expect_seat(page, lost, "on hold")
    await expect_seat(page, kept, "chosen, not yet held")
    await expect(page.get_by_role("button", name=re.compile("^Hold 1 seat "))).to_be_visible()
    await eventually(lambda: _was_told(told, f"{lost}.*someone else|someone else.*{lost}"))


@pytest.mark.quiet
async def test_changes_of_others_are_drawn_within_300_ms_and_disturb_nobody(
    open_page: Visitors, stack: Stack, row: Row, new_customer: Callable[[Stack], Service]
) -> None:
    page = await open_page(f"{stack.endpoints.api}{row.path}", **DESKTOP)
    await expect(page.get_by_text("Live", exact=True)).to_be_visible()
    [mine, *others] = row.seats("ACDEF")
    await seat(page, mine).focus()
    told = await told_by(page)
    other = new_customer(stack)
    order = await other.hold(row.seats("B")[0], flight_id=row.flight_id)
    behind = []
    for seat_id in others:
        drawn = await _next_drawing(page, seat_id)
        assert (await other.change(order["orderId"], seat_id)).status_code == 200
        changed = datetime.fromisoformat((await other.get(f"/api/orders/{order['orderId']}"))["updatedAt"])
        behind.append(await drawn() - changed.timestamp())
        await expect_seat(page, seat_id, "on hold")

    assert statistics.median(behind) < SHOWN_WITHIN_SECONDS, behind
    await expect_seat(page, others[0], "available")
    await expect(seat(page, mine)).to_be_focused()
    assert await told() == [], "nobody is told of seats that are none of their business"


async def test_a_change_of_the_seat_that_one_looks_at_is_told(
    open_page: Visitors, stack: Stack, row: Row, new_customer: Callable[[Stack], Service]
) -> None:
    page = await open_page(f"{stack.endpoints.api}{row.path}", **DESKTOP)
    await expect(page.get_by_text("Live", exact=True)).to_be_visible()
    [looked_at] = row.seats("F")
    await seat(page, looked_at).focus()
    told = await told_by(page)

    await new_customer(stack).hold(looked_at, flight_id=row.flight_id)

    await expect_seat(page, looked_at, "on hold")
    await eventually(lambda: _was_told(told, ""))
    assert await told() == [f"{looked_at} is now on hold."]


async def test_two_windows_of_one_customer_agree(open_page: Visitors, stack: Stack, row: Row) -> None:
    order = await order_page(open_page, stack, row, "A")
    window = await order.context.new_page()
    await window.goto(f"{stack.endpoints.api}{row.path}")
    [first, second] = row.seats("AB")
    await expect_seat(window, first, "yours")
    await eventually(lambda: _show_the_same(order, window), seconds=5)

    await seat(window, second).click()

    await expect(order.get_by_role("heading", level=1)).to_have_text(f"{first} and {second} are yours.")
    await expect_words(order.get_by_role("main"), "changed in another window", "Pay $")
    await eventually(lambda: _show_the_same(order, window), seconds=5)
    await pay(order, "99999")
    await expect(order.get_by_role("article", name="Boarding pass")).to_be_visible()
    await expect_seat(window, first, "yours, booked")


async def test_a_map_says_that_its_seats_were_paid_for_in_another_window(
    open_page: Visitors, stack: Stack, row: Row
) -> None:
    page = await open_page(f"{stack.endpoints.api}{row.path}", **DESKTOP)
    await hold(page, *row.seats("A"))
    await seat(page, row.seats("B")[0]).click()
    await expect_words(page.get_by_role("complementary"), "the time starts again")
    order = await page.context.new_page()
    await order.goto(str(await page.get_by_role("link", name=re.compile("^Pay ")).evaluate("(link) => link.href")))

    await pay(order, "99999")

    await expect_words(page.get_by_role("complementary"), "are yours for good")
    await page.get_by_role("link", name="Show the boarding pass").click()
    await expect(page.get_by_role("article", name="Boarding pass")).to_be_visible()


async def test_what_one_window_gives_back_is_gone_in_the_other(open_page: Visitors, stack: Stack, row: Row) -> None:
    order = await order_page(open_page, stack, row, "A")
    window = await order.context.new_page()
    await window.goto(f"{stack.endpoints.api}{row.path}")
    await window.get_by_role("button", name="Give it back").click()

    await expect(order.get_by_role("heading", level=1)).to_have_text("The booking was cancelled.")
    await expect(window.get_by_role("timer")).to_be_hidden()


async def test_a_hold_follows_its_customer_to_the_other_pages(open_page: Visitors, stack: Stack, row: Row) -> None:
    order = await order_page(open_page, stack, row, "AB")
    window = await order.context.new_page()
    for path in ("/", f"/flights/{FL101}"):
        await window.goto(f"{stack.endpoints.api}{path}")
        await expect_words(window.get_by_role("banner"), " and ".join(row.seats("AB")), ":")
    await window.get_by_role("banner").get_by_role("link", name=re.compile("on hold for you")).click()
    await expect(window).to_have_url(order.url)


async def test_a_stranger_sees_no_such_order(open_page: Visitors, stack: Stack, row: Row) -> None:
    order = await order_page(open_page, stack, row)

    page = await open_page(order.url)

    await expect(page.get_by_role("heading", level=1)).to_have_text("There is no such order.")
    # Not the page's markup: the path of an icon may look like a seat.
    assert row.seats("A")[0] not in await page.locator("body").aria_snapshot()
    reply = await page.goto(order.url)
    assert reply is not None
    assert reply.status == 404


async def _was_told(told: Callable[[], Awaitable[list[str]]], pattern: str) -> bool:
    return any(re.search(pattern, text) for text in await told())


async def _show_the_same(*pages: Page) -> bool:
    clocks = await asyncio.gather(*map(seconds_left, pages))
    return max(clocks) - min(clocks) <= 1


async def _cut_off_from_changes(page: Page) -> None:
    """Block events of other customers' seats from now on, as if both clicked at the same moment."""
    await page.route(re.compile("/api/flights/.*/events"), lambda _: None)
    await page.evaluate("window.dispatchEvent(new Event('online'))")


async def _next_drawing(page: Page, seat_id: str) -> Callable[[], Awaitable[float]]:
    """Watch a seat; the returned function waits until it was drawn again, and returns the time."""
    drawn = await seat(page, seat_id).evaluate_handle(
        """(cell) => ({
            at: new Promise((resolve) => {
                const observer = new MutationObserver(() => {
                    observer.disconnect();
                    requestAnimationFrame(() => setTimeout(() => resolve(Date.now() / 1000)));
                });
                observer.observe(cell, { attributeFilter: ["aria-label"] });
            }),
        })"""
    )
    return lambda: drawn.evaluate("({ at }) => at")
