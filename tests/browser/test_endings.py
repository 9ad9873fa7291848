"""Every end of an order: the page shows the cause, the state of the money, and the next step."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

import pytest
from playwright.async_api import Page, expect

from support.browsers import Visitors
from support.pages import (
    DESKTOP,
    Row,
    expect_seat,
    expect_words,
    hold,
    order_page,
    pay,
    seconds_of,
    status_of,
    told_by,
)
from support.services import Service, eventually
from support.stacks import Stack

pytestmark = pytest.mark.rest

WRITE_DOWN_THE_CLOCK = """(clock) => {
    const note = () => window.shown.push({ digits: clock.textContent, title: document.title, at: performance.now() });
    window.shown = [];
    note();
    new MutationObserver(note).observe(clock, { childList: true, characterData: true, subtree: true });
}"""
"""Records each second when it is drawn, because reads from outside would miss some."""


@pytest.mark.core
async def test_a_declined_code_costs_nothing_and_the_same_seats_can_be_tried_again(
    open_page: Visitors, stack: Stack, row: Row
) -> None:
    page = await order_page(open_page, stack, row, "AB")
    seats = " and ".join(row.seats("AB"))

    await pay(page, "00000")

    await _expect_ending(page, "declined", "Nothing was charged.", "went back on sale")
    declined = page.url
    assert (await status_of(page))["failureCode"] == "PAYMENT_DECLINED"
    await page.get_by_role("button", name=f"Try again with {seats}").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(f"{seats} are yours.")
    assert page.url != declined
    await pay(page, "99999")
    await expect(page.get_by_role("article", name="Boarding pass")).to_be_visible()
    assert (await status_of(page))["seats"] == row.seats("AB")


async def test_each_attempt_is_told_and_after_the_last_nothing_was_charged(
    open_page: Visitors, failing_stack: Stack, row: Row
) -> None:
    page = await order_page(open_page, failing_stack, row)
    told = await told_by(page)

    await pay(page, "12345")

    await expect_words(page.get_by_role("main"), "Your seats are safe while we finish.")
    await expect(page.get_by_role("timer", name="Clock stopped with")).to_have_text(re.compile(r"^1[45]:\d\d$"))
    await _expect_ending(page, "did not go through", "Nothing was charged.", "Attempts: 3 of 3")
    attempts = [text for text in await told() if "attempt" in text]
    assert attempts == [f"Contacting the bank, attempt {number} of 3" for number in (1, 2, 3)]
    assert (await status_of(page))["failureCode"] == "PAYMENT_FAILED"
    await expect(page.get_by_role("button", name=f"Try again with {row.number}A")).to_be_visible()


async def test_a_customer_who_watches_sees_the_time_run_out(open_page: Visitors, brief_stack: Stack, row: Row) -> None:
    page = await order_page(open_page, brief_stack, row)
    await page.get_by_role("timer").evaluate(WRITE_DOWN_THE_CLOCK)

    await _expect_ending(page, "Time ran out", "Nothing was charged.", "went back on sale")

    shown = await page.evaluate("window.shown")
    left = [seconds_of(each["digits"]) for each in shown]
    assert 1 in {earlier - later for earlier, later in pairwise(left)}, f"it moves by the second: {shown}"
    assert left[0] <= 8
    assert left[-1] <= 1, "the server may be the first to say that it is over"
    for (earlier, later), (before, after) in zip(pairwise(left), pairwise(shown), strict=True):
        passed = (after["at"] - before["at"]) / 1000
        assert later < earlier, shown
        assert abs(earlier - later - passed) <= 1, f"it runs as time does, also where it was not drawn in time: {shown}"
    assert all(each["title"].startswith(f"{each['digits']} · Your hold") for each in shown), shown
    assert (await status_of(page))["status"] == "EXPIRED"
    await page.get_by_role("button", name=f"Hold {row.number}A again").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(f"{row.number}A is yours.")


async def test_a_customer_who_was_away_finds_that_the_time_ran_out(
    open_page: Visitors, brief_stack: Stack, row: Row, new_customer: Callable[[Stack], Service]
) -> None:
    page = await order_page(open_page, brief_stack, row)
    address = page.url
    await page.goto("about:blank")
    await _until_free(new_customer(brief_stack), row, "A")

    await page.goto(address)

    await _expect_ending(page, "Time ran out", "Nothing was charged.", "still free")
    await page.go_back()
    await page.go_back()
    await _expect_ending(page, "Time ran out", "Nothing was charged.", "still free")


@pytest.mark.long
async def test_the_map_says_that_the_time_ran_out_and_offers_the_seats_again(
    open_page: Visitors, brief_stack: Stack, row: Row
) -> None:
    page = await open_page(f"{brief_stack.endpoints.api}{row.path}", **DESKTOP)
    await hold(page, *row.seats("AB"))

    panel = page.get_by_role("complementary")
    await expect_words(panel, "Time ran out", "Nothing was charged")
    await expect(panel.get_by_role("timer")).to_be_hidden()
    await panel.get_by_role("button", name=re.compile("^Hold 2 seats")).click()
    await expect_seat(page, row.seats("B")[0], "yours")


@pytest.mark.core
async def test_an_order_given_back_ends_at_once(
    open_page: Visitors, stack: Stack, row: Row, new_customer: Callable[[Stack], Service]
) -> None:
    page = await order_page(open_page, stack, row, "AB")

    await page.get_by_role("button", name="Give the seats back").click()

    await _expect_ending(page, "The booking was cancelled", "Nothing was charged.", "went back on sale")
    assert (await status_of(page))["failureCode"] == "CANCELLED"
    await new_customer(stack).hold(*row.seats("AB"), flight_id=row.flight_id)


@pytest.mark.core
async def test_seats_given_back_on_the_map_are_free_again(open_page: Visitors, stack: Stack, row: Row) -> None:
    page = await open_page(f"{stack.endpoints.api}{row.path}", **DESKTOP)
    await hold(page, *row.seats("AB"))

    await page.get_by_role("button", name="Give all back").click()

    await expect_words(page.get_by_role("complementary"), "You gave the seats back. Nothing was charged.")
    for seat_id in row.seats("AB"):
        await expect_seat(page, seat_id, "available")


async def test_seats_that_are_gone_by_then_are_not_offered_again(
    open_page: Visitors, stack: Stack, row: Row, new_customer: Callable[[Stack], Service]
) -> None:
    page = await order_page(open_page, stack, row, "AB")
    await pay(page, "00000")
    await _expect_ending(page, "declined", "Nothing was charged.")
    await new_customer(stack).hold(*row.seats("A"), flight_id=row.flight_id)

    await page.get_by_role("button", name=re.compile("^Try again")).click()

    await expect_words(page.get_by_role("main"), f"{row.number}A was just taken.", "Nothing is held.")
    instead = page.get_by_role("button", name=re.compile(r"^\d+[A-F]\W.*\d+[A-F] for \$")).first
    offered = re.findall(r"\d+[A-F]", await instead.inner_text())
    await instead.click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(f"{' and '.join(offered)} are yours.")
    assert (await status_of(page))["seats"] == offered


@pytest.mark.long
async def test_seats_offered_instead_can_be_had_before_the_page_knows_more(
    open_page: Visitors, stack: Stack, row: Row, new_customer: Callable[[Stack], Service]
) -> None:
    page = await order_page(open_page, stack, row, "AB")
    await pay(page, "00000")
    await _expect_ending(page, "declined", "Nothing was charged.")
    await new_customer(stack).hold(*row.seats("A"), flight_id=row.flight_id)
    await page.route(re.compile(f"/api/flights/{row.flight_id}$"), lambda _: None, times=1)  # The reply never comes.
    await page.get_by_role("button", name=re.compile("^Try again")).click()

    await page.get_by_role("button", name=re.compile(r"^\d+[A-F]\W.*\d+[A-F] for \$")).first.click()

    await expect(page.get_by_label("Payment code")).to_be_visible()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("are yours")


async def _expect_ending(page: Page, headline: str, money: str, *words: str) -> None:
    await expect(page.get_by_role("heading", level=1)).to_contain_text(headline)
    await expect_words(page.get_by_role("main"), money, *words)
    await expect(page.get_by_label("Payment code")).to_have_count(0)


async def _until_free(customer: Service, row: Row, letter: str) -> None:
    async def is_free() -> bool:
        seat = await customer.seat(row.seats(letter)[0], flight_id=row.flight_id)
        return bool(seat["status"] == "available")

    await eventually(is_free)
