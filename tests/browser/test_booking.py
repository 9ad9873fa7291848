"""A customer's booking: from the list of flights to the boarding pass, by mouse, by keyboard alone, by touch."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Locator, Page, expect

from support.browsers import Visitors
from support.pages import (
    DESKTOP,
    FL101,
    PHONE,
    Row,
    choose,
    expect_right_clock,
    expect_seat,
    expect_words,
    go_to_payment,
    held_by,
    hold,
    order_page,
    pay,
    seat,
    status_of,
)
from support.stacks import Stack

CONFIRMED = re.compile("yours for good")


async def test_a_flight_is_found_seats_are_held_paid_and_on_the_boarding_pass(
    open_page: Visitors, stack: Stack
) -> None:
    page = await open_page(f"{stack.endpoints.api}/", **DESKTOP)

    await page.get_by_role("listitem").filter(has_text="FL101").get_by_role("link").click()
    await choose(page, "12A", "12B")
    panel = page.get_by_role("complementary")
    await expect_words(panel, "Total $700", "Not held yet")
    await panel.get_by_role("button", name="Hold 2 seats for 15 minutes").click()
    await expect(panel.get_by_role("timer")).to_have_text(re.compile(r"^(15:00|14:5\d)$"))
    await expect_seat(page, "12A", "yours")
    await go_to_payment(page)
    await expect(page.get_by_role("heading", level=1)).to_have_text("12A and 12B are yours.")
    await pay(page, "99999")

    await expect(page.get_by_role("heading", level=1)).to_have_text(CONFIRMED)
    status = await status_of(page)
    assert (status["status"], status["seats"]) == ("CONFIRMED", ["12A", "12B"])
    boarding_pass = page.get_by_role("article", name="Boarding pass")
    journey = ("FL101", "New York", "Los Angeles", "EST", "PST")
    await expect_words(boarding_pass, status["reference"], *journey, "12A, 12B", "Paid $700")
    await _expect_nowhere(page, "99999")


async def test_a_booking_needs_no_mouse(open_page: Visitors, stack: Stack) -> None:
    page = await open_page(f"{stack.endpoints.api}/", **DESKTOP)

    await _tab_to(page, page.get_by_role("link", name="NYC to LAX"))
    await page.keyboard.press("Enter")
    await expect(seat(page, "1A")).to_be_visible()
    await _tab_to(page, seat(page, "1A"))
    for key in ("End", "ArrowDown", "ArrowLeft", "ArrowLeft"):  # 1F, 2F, 2E, 2D
        await page.keyboard.press(key)
    await page.keyboard.press("Space")
    await expect_seat(page, "2D", "chosen, not yet held")
    await page.keyboard.press("ArrowLeft")  # across the aisle
    await page.keyboard.press("Enter")
    await expect_seat(page, "2C", "chosen, not yet held")
    await _tab_to(page, page.get_by_role("button", name=re.compile("^Hold 2 seats")))
    await page.keyboard.press("Enter")
    await expect_seat(page, "2C", "yours")
    await _tab_to(page, page.get_by_role("link", name=re.compile("^Pay ")))
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Payment code")).to_be_visible()
    await _tab_to(page, page.get_by_label("Payment code"))
    await page.keyboard.type("99999")
    await page.keyboard.press("Enter")

    headline = page.get_by_role("heading", level=1)
    await expect(headline).to_have_text(CONFIRMED)
    await expect(headline).to_be_focused()
    assert (await status_of(page))["seats"] == ["2C", "2D"]


@pytest.mark.rest
async def test_a_booking_by_touch_on_a_phone(open_page: Visitors, stack: Stack) -> None:
    page = await open_page(f"{stack.endpoints.api}/", **PHONE)
    await _expect_no_sideways_scroll(page)

    await page.get_by_role("listitem").filter(has_text="FL101").get_by_role("link").tap()
    for seat_id in ("16B", "16C"):
        await seat(page, seat_id).tap()
    await expect_seat(page, "16C", "chosen, not yet held")
    await _expect_no_sideways_scroll(page)
    panel = page.get_by_role("complementary")
    await panel.get_by_role("button", name=re.compile("^Hold 2 seats")).tap()
    await expect_seat(page, "16B", "yours")
    box = await panel.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= 740, "the hold stays in sight"
    assert box["height"] <= 740 / 3, "and leaves the cabin its room"
    await panel.get_by_role("link", name=re.compile("^Pay ")).tap()
    code = page.get_by_label("Payment code")
    await expect(code).to_have_attribute("inputmode", "numeric")
    await _expect_no_sideways_scroll(page)
    await code.fill("99999")
    await page.get_by_role("button", name=re.compile("^Pay ")).tap()

    await expect(page.get_by_role("heading", level=1)).to_have_text(CONFIRMED)
    await _expect_no_sideways_scroll(page)


@pytest.mark.rest
async def test_more_seats_start_the_clock_again_and_the_page_says_why(open_page: Visitors, stack: Stack) -> None:
    page = await open_page(f"{stack.endpoints.api}/flights/{FL101}", **DESKTOP)
    await hold(page, "14A")
    await expect(page.get_by_role("timer")).to_have_text(re.compile(r"^14:([0-4]\d|5[0-7])$"))
    before = await held_by(page)

    await seat(page, "14B").click()

    await expect_seat(page, "14B", "yours")
    await expect_words(page.get_by_role("complementary"), "the time starts again")
    assert (await held_by(page))["expiresAt"] > before["expiresAt"]
    await expect_right_clock(page)  # A clock that did not restart would stay three seconds behind.
    await go_to_payment(page)
    assert (await status_of(page))["seats"] == ["14A", "14B"]


@pytest.mark.rest(but_first=True)
@pytest.mark.parametrize("typed", ["", "12", "one", "١٢٣٤٥"])
async def test_what_is_no_code_is_not_sent(open_page: Visitors, stack: Stack, row: Row, typed: str) -> None:
    page = await order_page(open_page, stack, row)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    code = page.get_by_label("Payment code")

    await code.press_sequentially(typed)
    await code.press("Enter")

    await expect(page.get_by_role("alert").filter(has_text="Five digits")).to_be_visible()
    await expect(code).to_be_focused()
    await expect(code).to_have_accessible_description(re.compile("Five digits, please"))
    assert "POST" not in sent
    assert (await status_of(page))["status"] == "SEATS_RESERVED"


async def _tab_to(page: Page, target: Locator) -> None:
    """Press Tab until this has the focus."""
    for _ in range(60):
        await page.keyboard.press("Tab")
        if await target.count() and await target.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"no Tab leads to {target}")


async def _expect_no_sideways_scroll(page: Page) -> None:
    width = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert width <= 0, f"{page.url} is {width} px too wide"


async def _expect_nowhere(page: Page, code: str) -> None:
    """Check that the page stores the code nowhere; the note about the public test code does not count."""
    assert code not in page.url
    kept = await page.evaluate("[...Object.values(localStorage), ...Object.values(sessionStorage)].join()")
    assert code not in kept
    inputs = await page.evaluate("[...document.querySelectorAll('input')].map((input) => input.value).join()")
    assert code not in inputs
