"""The tools beside the seats: the list, the filters, the best seats, the jump to a seat."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from support.browsers import Visitors
from support.picker_harness import (
    a_flight,
    apply,
    events_of,
    focused_seat,
    open_picker,
    press,
    said,
    seat_of,
    show,
    wanted,
)

pytestmark = pytest.mark.rest


async def test_the_list_comes_first_and_is_one_tab_stop(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight(taken={"1A": "booked"}))
    await page.get_by_role("link", name="Flights").focus()

    await press(page, "Tab")
    await expect(page.locator("summary")).to_be_focused()
    await press(page, "Enter")
    listbox = page.get_by_role("listbox", name="Free seats")
    await expect(listbox).to_be_visible()
    await press(page, "Tab")
    await expect(listbox.get_by_role("option", name=re.compile("^1B, "))).to_be_focused()
    await press(page, "Tab")

    await expect(page.get_by_role("combobox", name="Best seats together")).to_be_focused()
    await expect(listbox.get_by_role("option")).to_have_count(119)
    await expect(listbox.locator("[tabindex='0']")).to_have_count(1)


@pytest.mark.core
async def test_the_list_is_worked_by_keys_and_chooses_the_same_seats(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight())
    await page.locator("summary").click()
    await page.get_by_role("option", name=re.compile("^1A, ")).focus()

    for key, seat in (("ArrowDown", "1B"), ("End", "20F"), ("Home", "1A"), ("ArrowUp", "1A"), ("PageDown", "2C")):
        await press(page, key)
        await expect(page.get_by_role("option", name=re.compile(rf"^{seat}, "))).to_be_focused()
    await page.keyboard.type("14c")
    option = page.get_by_role("option", name=re.compile("^14C, "))
    await expect(option).to_be_focused()
    await press(page, "Space")

    assert await events_of(page) == [{"type": "want", "seats": ["14C"], "cause": "list"}]
    await expect(option).to_have_attribute("aria-selected", "true")
    await expect(seat_of(page, "14C")).to_have_attribute("aria-selected", "true")
    await option.click()
    assert await wanted(page) == []


async def test_the_list_keeps_up_and_throws_nobody_out(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight(taken={"14C": "booked"}))
    await page.locator("summary").click()
    option = page.get_by_role("option", name=re.compile("^14B, "))
    await option.focus()

    await apply(page, **{"14A": "reserved", "14B": "reserved", "14C": "available"})

    await expect(page.get_by_role("option", name=re.compile("^14A, "))).to_have_count(0)
    await expect(page.get_by_role("option", name=re.compile("^14C, "))).to_have_count(1)
    await expect(option).to_be_focused()
    await expect(option).to_be_disabled()
    await press(page, "ArrowDown")
    await expect(page.get_by_role("option", name=re.compile("^14C, "))).to_be_focused()
    await expect(option).to_have_count(0)


async def test_filters_dim_what_does_not_match_and_shorten_the_list(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight(taken={"1C": "booked"}))
    await page.locator("summary").click()
    await seat_of(page, "2B").click()

    aisle = page.get_by_role("button", name="Aisle")
    await aisle.click()

    await expect(aisle).to_have_attribute("aria-pressed", "true")
    await expect(page.get_by_role("gridcell")).to_have_count(120)
    await expect(page.locator(".s.dim")).to_have_count(79)
    options = page.get_by_role("listbox").get_by_role("option")
    await expect(options).to_have_count(40)
    await expect(page.get_by_text("39 of 118 free seats", exact=True)).to_be_visible()
    await page.get_by_role("button", name="Window").click()
    await page.get_by_role("button", name="Exit row").click()
    await expect(page.locator("button.s:not(.dim, [data-st])")).to_have_count(4)
    await page.get_by_role("button", name="Show all").click()
    await expect(page.locator(".s.dim")).to_have_count(0)
    await expect(options).to_have_count(119)


async def test_a_dim_seat_can_still_be_chosen(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight())
    await page.get_by_role("button", name="Window").click()

    await seat_of(page, "2B").click()

    assert await wanted(page) == ["2B"]


async def test_prices_are_filters_only_where_there_are_several(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight())
    await expect(page.get_by_role("group", name="Show").get_by_role("button", name="$")).to_have_count(0)

    page = await open_picker(open_page, a_flight("SK900"))
    await page.get_by_role("button", name="$790").click()
    await expect(page.locator("button.s:not(.dim, [data-st])")).to_have_count(9)


async def test_the_legend_names_what_is_there_and_nothing_else(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight("SK900"))
    legend = page.locator(".legend li:visible")
    await expect(legend).to_have_text(["CAvailable", "C$720, rows 20 to 32", "C$790, exit row"])

    await apply(page, **{"20A": "reserved"})
    await seat_of(page, "20B").click()

    await expect(legend).to_have_text(["CAvailable", "Chosen", "On hold", "C$720, rows 20 to 32", "C$790, exit row"])


@pytest.mark.core
async def test_the_best_seats_together_are_chosen_shown_and_said(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight("SK900"))

    await page.get_by_role("combobox", name="Best seats together").select_option("3")
    await page.get_by_role("button", name="Find").click()

    await expect(said(page)).to_have_text("Chosen: 34A, 34B and 34C, $1,830.")
    assert await events_of(page) == [{"type": "want", "seats": ["34A", "34B", "34C"], "cause": "best"}]
    await expect(seat_of(page, "34A")).to_be_in_viewport()
    await expect(page.get_by_role("button", name="Find")).to_be_focused()


async def test_the_best_seats_are_a_whole_set_that_may_keep_what_is_held(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight(taken={"1A": "reserved", "1B": "reserved"}))
    await show(page, wanted=["1A", "1B"], held=["1A", "1B"])
    await expect(page.get_by_role("combobox", name="Best seats together")).to_have_value("2")

    await page.get_by_role("combobox", name="Best seats together").select_option("3")
    await page.get_by_role("button", name="Find").click()

    await expect(said(page)).to_have_text("Chosen: 1A, 1B and 1C, $1,050.")
    assert await wanted(page) == ["1A", "1B", "1C"]


async def test_too_few_free_seats_are_said_and_nothing_changes(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight())
    taken = await page.evaluate("picker.plan.seats.map(({ id }) => id).filter((id) => !['3A', '9C'].includes(id))")
    await apply(page, **dict.fromkeys(taken, "booked"))

    await page.get_by_role("combobox", name="Best seats together").select_option("3")
    await page.get_by_role("button", name="Find").click()

    await expect(page.get_by_text("No 3 seats are free.").first).to_be_visible()
    assert await events_of(page) == []


async def test_what_was_said_of_seats_found_goes_with_the_next_choice(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight())
    answer = page.locator("#best-said")
    await page.get_by_role("button", name="Find").click()
    await expect(answer).to_have_text("Chosen: 1A and 1B, $700.")
    await page.get_by_role("button", name="Find").click()
    await expect(answer).to_have_text("You have them already: 1A and 1B, $700.")

    await seat_of(page, "1C").click()

    await expect(answer).to_be_hidden()


async def test_the_list_says_why_a_seat_was_refused(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight())
    await page.get_by_role("combobox", name="Best seats together").select_option("9")
    await page.get_by_role("button", name="Find").click()
    await page.locator("summary").click()

    await page.get_by_role("option", name=re.compile("^20A, ")).click()

    why = page.locator(".pick").get_by_text("An order has at most 9 seats.")
    await expect(why).to_be_visible()
    await page.get_by_role("option", name=re.compile("^1A, ")).click()
    await expect(why).to_be_hidden()


async def test_go_to_seat_takes_small_letters_and_goes_there(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight())

    await page.get_by_role("textbox", name="Go to seat").fill(" 18c ")
    await press(page, "Enter")

    assert await focused_seat(page) == "18C"
    await expect(seat_of(page, "18C")).to_be_in_viewport()


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("99Z", "There is no seat 99Z on this flight."),
        ("", "Type a row and a letter, as 14C."),
        ("14b", "14B is taken."),
    ],
)
async def test_go_to_seat_says_what_is_in_the_way(open_page: Visitors, typed: str, answer: str) -> None:
    page = await open_picker(open_page, a_flight(taken={"14B": "booked"}))
    box = page.get_by_role("textbox", name="Go to seat")

    await box.fill(typed)
    await page.get_by_role("button", name="Go", exact=True).click()

    await expect(box).to_have_accessible_description(answer)


async def test_the_way_to_a_cabin_ends_at_its_first_free_seat(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight("SK900", taken={"20A": "booked"}))

    await page.get_by_role("navigation", name="Cabins").get_by_role("link", name="Economy").click()

    assert await focused_seat(page) == "20B"
    await expect(page.get_by_role("heading", name="Economy")).to_be_in_viewport()
    assert page.url.endswith("/")
