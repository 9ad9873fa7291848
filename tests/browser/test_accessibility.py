"""Axe finds no barrier in any state of any page: light and dark, on a desktop and on a phone."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.async_api import expect

from support.accessibility import assert_accessible
from support.browsers import Visitors
from support.pages import (
    DESKTOP,
    FL101,
    PHONE,
    SK900,
    Row,
    choose,
    expect_seat,
    expect_words,
    go_to_payment,
    hold,
    order_page,
    pay,
    seat,
)
from support.services import Service
from support.stacks import Stack

pytestmark = pytest.mark.rest

STILL: dict[str, Any] = {"reduced_motion": "reduce"}
"""Axe checks one moment, so nothing may move."""

LIGHT_ON_A_DESK = pytest.param(DESKTOP | STILL, id="light on a desk")
DARK_ON_A_PHONE = PHONE | STILL | {"color_scheme": "dark"}

looks = pytest.mark.parametrize("look", [LIGHT_ON_A_DESK, pytest.param(DARK_ON_A_PHONE, id="dark on a phone")])
looks_at_length = pytest.mark.parametrize(
    "look", [LIGHT_ON_A_DESK, pytest.param(DARK_ON_A_PHONE, id="dark on a phone", marks=pytest.mark.long)]
)


@looks
@pytest.mark.parametrize("path", ["/", "/?origin=LHR", f"/flights/{SK900}", "/orders/none", "/nowhere"])
async def test_pages_before_anything_is_chosen(
    open_page: Visitors, stack: Stack, look: dict[str, Any], path: str
) -> None:
    page = await open_page(f"{stack.endpoints.api}{path}", **look)
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    if path.startswith("/flights/"):
        await expect_seat(page, "30A", "available")

    await assert_accessible(page)


@looks
async def test_the_map_in_its_states(
    open_page: Visitors, stack: Stack, row: Row, look: dict[str, Any], new_customer: Callable[[Stack], Service]
) -> None:
    a, b, c, d, e, f = row.seats("ABCDEF")
    others = new_customer(stack)
    await others.pay((await others.hold(e, flight_id=row.flight_id))["orderId"])
    await others.hold(f, flight_id=row.flight_id)
    page = await open_page(f"{stack.endpoints.api}{row.path}", **look)
    await expect_seat(page, e, "taken")
    await choose(page, a, b)
    await expect(page.get_by_role("button", name=re.compile("^Hold 2 seats"))).to_be_visible()
    await assert_accessible(page)  # chosen, taken, on hold

    await hold(page)
    await assert_accessible(page)  # held

    await page.route(re.compile("/api/flights/.*/events"), lambda _: None)
    await page.evaluate("window.dispatchEvent(new Event('online'))")
    await others.hold(c, flight_id=row.flight_id)
    await seat(page, c).click()
    await expect_words(page.get_by_role("complementary"), f"{c} was just taken.")
    await assert_accessible(page)  # a conflict

    await seat(page, d).click()
    await expect_words(page.get_by_role("complementary"), "the time starts again")
    await assert_accessible(page)  # changed

    await page.get_by_role("button", name="Give all back").click()
    await expect_words(page.get_by_role("complementary"), "You gave the seats back")
    await assert_accessible(page)  # released


@looks_at_length
async def test_the_list_of_seats(open_page: Visitors, stack: Stack, look: dict[str, Any]) -> None:
    page = await open_page(f"{stack.endpoints.api}/flights/{FL101}", **look)
    await expect_seat(page, "1A", "available")
    finder = page.get_by_role("button", name=re.compile("^Find a seat"))
    if await finder.is_visible():
        await finder.click()
    await page.get_by_text("Choose from a list").click()
    await expect(page.get_by_role("listbox", name="Free seats")).to_be_visible()
    await page.get_by_role("button", name="Window").click()

    await assert_accessible(page)


@looks
async def test_an_order_from_its_hold_to_the_boarding_pass(
    open_page: Visitors, stack: Stack, row: Row, look: dict[str, Any]
) -> None:
    page = await open_page(f"{stack.endpoints.api}{row.path}", **look)
    await hold(page, *row.seats("AB"))
    await go_to_payment(page)
    await assert_accessible(page)

    await pay(page, "12")
    await expect(page.get_by_role("alert").filter(has_text="Five digits")).to_be_visible()
    await assert_accessible(page)

    await pay(page, "99999")
    await expect(page.get_by_role("article", name="Boarding pass")).to_be_visible()
    await assert_accessible(page)


@looks_at_length
async def test_orders_that_end_without_a_booking(
    open_page: Visitors, stack: Stack, row: Row, look: dict[str, Any]
) -> None:
    declined = await order_page(open_page, stack, row, "A", **look)
    await pay(declined, "00000")
    await expect(declined.get_by_role("heading", level=1)).to_contain_text("declined")
    await assert_accessible(declined)

    cancelled = await order_page(open_page, stack, row, "B", **look)
    await cancelled.get_by_role("button", name="Give the seat back").click()
    await expect(cancelled.get_by_role("heading", level=1)).to_contain_text("was cancelled")
    await assert_accessible(cancelled)


@looks_at_length
async def test_an_order_whose_time_runs_out(
    open_page: Visitors, brief_stack: Stack, row: Row, look: dict[str, Any]
) -> None:
    page = await order_page(open_page, brief_stack, row, **look)
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Time ran out")
    await assert_accessible(page)


@looks_at_length
@pytest.mark.long
async def test_a_payment_under_way_and_failed(
    open_page: Visitors, failing_stack: Stack, row: Row, look: dict[str, Any]
) -> None:
    page = await order_page(open_page, failing_stack, row, **look)
    await pay(page, "12345")
    await expect_words(page.get_by_role("main"), "Contacting the bank")
    await assert_accessible(page)

    await expect_words(page.get_by_role("main"), "did not go through")
    await assert_accessible(page)
