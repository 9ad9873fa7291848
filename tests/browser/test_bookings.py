"""A customer finds their bookings again on the first page, and no one else's."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from support.accessibility import assert_accessible
from support.browsers import Visitors
from support.pages import DESKTOP, Row, expect_words, order_page, pay, status_of
from support.stacks import Stack

pytestmark = pytest.mark.rest

FOR_GOOD = re.compile("yours for good")


async def test_a_booking_is_found_again_from_the_list_of_flights(open_page: Visitors, stack: Stack, row: Row) -> None:
    page = await order_page(open_page, stack, row, "AB", **DESKTOP)
    await pay(page, "99999")
    await expect(page.get_by_role("heading", level=1)).to_have_text(FOR_GOOD)
    booked, reference = page.url, (await status_of(page))["reference"]

    await page.get_by_role("link", name="Book another flight").click()

    bookings = page.get_by_role("region", name="Your bookings")
    await expect_words(bookings, reference, ", ".join(row.seats("AB")))
    await assert_accessible(page)
    await bookings.get_by_role("link", name=re.compile(reference)).click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(FOR_GOOD)
    assert page.url == booked


async def test_a_hold_is_no_booking_and_stands_in_the_head_of_the_page(
    open_page: Visitors, stack: Stack, row: Row
) -> None:
    page = await order_page(open_page, stack, row, "C", **DESKTOP)

    await page.get_by_role("link", name="Skyhold").click()

    chip = page.get_by_role("navigation", name="Site").get_by_role("link", name=re.compile("on hold for you"))
    await expect(chip).to_have_text(re.compile(rf"^{row.number}C on hold for you, 14:\d\d left$"))
    await expect(page.get_by_role("region", name="Your bookings")).to_be_hidden()
    await assert_accessible(page)
    await chip.click()
    await expect(page.get_by_label("Payment code")).to_be_visible()


@pytest.mark.core
async def test_nobody_sees_the_bookings_of_others(open_page: Visitors, stack: Stack, row: Row) -> None:
    page = await order_page(open_page, stack, row, "D")
    await pay(page, "99999")
    await expect(page.get_by_role("heading", level=1)).to_have_text(FOR_GOOD)

    stranger = await open_page(f"{stack.endpoints.api}/", **DESKTOP)

    await expect(stranger.get_by_text("Seats left are live")).to_be_visible()
    await expect(stranger.get_by_role("region", name="Your bookings")).to_be_hidden()
    await expect(stranger.get_by_role("navigation", name="Site").get_by_role("link")).to_have_count(0)
