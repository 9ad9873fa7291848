"""The seat map for screen readers and keyboards: the name of each seat, and the keys' movements."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from support.accessibility import assert_accessible
from support.browsers import Visitors
from support.picker_harness import (
    A_PHONE,
    EACH_STATUS,
    a_flight,
    events_of,
    focused_seat,
    next_frame,
    open_picker,
    press,
    said,
    seat_of,
    show,
    wanted,
)


async def test_every_seat_says_its_place_cabin_price_and_state(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight("SK900", taken=EACH_STATUS))

    for name in (
        "2A, window and aisle, first, suite, 6,900 dollars, available",
        "6D, aisle, business, flat bed, 3,400 dollars, available",
        "33E, middle, economy, exit row, 790 dollars, available",
        "34D, aisle, economy, 610 dollars, taken",
        "34E, middle, economy, 610 dollars, on hold",
        "34F, aisle, economy, 610 dollars, not for sale",
    ):
        await expect(page.get_by_role("gridcell", name=name, exact=True)).to_have_count(1)


@pytest.mark.rest
async def test_the_grid_counts_every_row_and_column(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight("SK900"))

    grid = page.get_by_role("grid", name="Seat map of SK900")
    await expect(grid).to_have_attribute("aria-rowcount", "43")
    await expect(grid).to_have_attribute("aria-colcount", "11")
    await expect(grid).to_have_attribute("aria-multiselectable", "true")
    rows = await grid.get_by_role("row").evaluate_all("rows => rows.map((row) => row.ariaRowIndex)")
    assert rows == [str(number) for number in range(1, 44)]
    columns = await seat_of(page, "48K").evaluate(
        "(seat) => [...seat.parentElement.children].map((c) => c.ariaColIndex)"
    )
    # No row of economy has a G, but H is in the same column in all cabins.
    assert [column for column in columns if column] == ["1", "2", "3", "4", "5", "6", "7", "9", "10", "11"]
    assert await seat_of(page, "2K").get_attribute("aria-colindex") == "11"


@pytest.mark.rest
async def test_a_cabin_is_a_group_of_rows_under_a_heading(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight("SK900"))

    cabin = page.get_by_role("rowgroup", name="Economy Rows 20 to 48, 3-3-3, from $610")
    await expect(cabin.get_by_role("heading", name="Economy")).to_be_visible()
    await expect(cabin.get_by_role("row", name="Row 33").get_by_role("rowheader")).to_have_text("33")
    await expect(cabin.get_by_role("gridcell")).to_have_count(261)


@pytest.mark.rest
@pytest.mark.parametrize("number", ["FL101", "SK900"])
@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.long)])
async def test_axe_finds_nothing_in_either_cabin(open_page: Visitors, number: str, scheme: str) -> None:
    page = await open_picker(open_page, a_flight(number, taken=EACH_STATUS), color_scheme=scheme)
    await page.get_by_text("Choose from a list").click()
    await page.get_by_role("button", name="Aisle").click()
    await show(page, wanted=["2A", "20A"], held=["2A", "2D"], busy=True, own=[["20C", "booked"]])
    await page.evaluate(
        "picker.showConflict({ taken: [{ id: '1B', status: 'booked' }, { id: '34D', status: 'booked' }], near: ['20D', '2F'] })"
    )
    await seat_of(page, "20D").focus()

    await assert_accessible(page)


@pytest.mark.rest
async def test_axe_finds_nothing_in_the_drawer_of_a_phone(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight("SK900", taken=EACH_STATUS), **A_PHONE)
    await assert_accessible(page)

    await page.get_by_role("button", name="Find a seat").click()
    await page.get_by_text("Choose from a list").click()

    await assert_accessible(page)


async def test_the_grid_is_one_tab_stop_wherever_one_has_been(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight("SK900", taken={"1A": "booked"}))
    stops = page.get_by_role("grid").locator("[tabindex='0']")
    await expect(stops).to_have_count(1)

    await page.get_by_role("button", name="$6,900").focus()
    await press(page, "Tab")
    assert await focused_seat(page) == "1D", "the first free seat"
    await press(page, "ArrowDown", "ArrowRight", "Tab")
    assert await focused_seat(page) is None
    await press(page, "Shift+Tab")

    assert await focused_seat(page) == "2G"
    await expect(stops).to_have_count(1)


async def test_arrows_go_over_aisles_and_stop_at_the_walls(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight())
    await seat_of(page, "1C").focus()

    await press(page, "ArrowRight")
    assert await focused_seat(page) == "1D"
    await press(page, "ArrowRight", "ArrowRight", "ArrowRight", "ArrowUp")
    assert await focused_seat(page) == "1F"


@pytest.mark.rest
async def test_going_through_cabins_keeps_the_column_one_came_from(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight("SK900"))
    await seat_of(page, "20B").focus()

    await press(page, "ArrowUp")
    assert await focused_seat(page) == "14A"
    await press(page, "ArrowDown")
    assert await focused_seat(page) == "20B"
    await press(page, "ArrowRight", "ArrowRight", "ArrowUp", "ArrowDown")
    assert await focused_seat(page) == "20D"


@pytest.mark.rest
async def test_home_end_and_page_keys_go_far(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight())
    await seat_of(page, "10C").focus()

    for key, seat in (
        ("Home", "10A"),
        ("End", "10F"),
        ("PageUp", "5F"),
        ("PageDown", "10F"),
        ("Control+End", "20F"),
        ("PageDown", "20F"),
        ("Control+Home", "1A"),
        ("PageUp", "1A"),
    ):
        await press(page, key)
        assert await focused_seat(page) == seat, key


@pytest.mark.rest
async def test_typing_a_seat_goes_there(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight())
    await seat_of(page, "1B").focus()

    await page.keyboard.type("14")
    assert await focused_seat(page) == "14B"
    await page.keyboard.type("c")
    assert await focused_seat(page) == "14C"


@pytest.mark.parametrize("key", ["Space", "Enter"])
async def test_space_and_enter_choose_a_seat_and_give_it_up(open_page: Visitors, key: str) -> None:
    page = await open_picker(open_page, a_flight())
    await seat_of(page, "14B").focus()

    await press(page, key)
    await expect(seat_of(page, "14B")).to_have_accessible_name(re.compile("chosen, not yet held$"))
    await expect(seat_of(page, "14B")).to_have_attribute("aria-selected", "true")
    await press(page, "ArrowLeft", key, "ArrowRight", key)

    assert [event["seats"] for event in await events_of(page)] == [["14B"], ["14A", "14B"], ["14A"]]
    await expect(seat_of(page, "14B")).to_have_attribute("aria-selected", "false")


async def test_a_taken_seat_can_be_explored_and_says_why_it_cannot_be_had(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight(taken={"14B": "booked"}))
    await seat_of(page, "14A").focus()

    await press(page, "ArrowRight", "Enter")

    assert await focused_seat(page) == "14B"
    await expect(seat_of(page, "14B")).to_be_disabled()
    await expect(said(page)).to_have_text("14B is taken.")
    assert await events_of(page) == [{"type": "refused", "reason": "taken", "seat": "14B"}]


@pytest.mark.rest
async def test_seats_that_cannot_be_changed_can_still_be_explored(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight())
    await page.evaluate("picker.enabled = false")
    await next_frame(page)
    await seat_of(page, "14A").focus()

    await press(page, "ArrowRight", "Space")

    assert await focused_seat(page) == "14B"
    await expect(seat_of(page, "14B")).to_have_accessible_name("14B, middle, economy, 350 dollars, available")
    assert await events_of(page) == [{"type": "refused", "reason": "disabled", "seat": "14B"}]
    await page.evaluate("picker.enabled = true")
    await press(page, "Space")
    assert await wanted(page) == ["14B"]


@pytest.mark.rest
async def test_the_tenth_seat_is_refused(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight())
    for seat in ("1A", "1B", "1C", "1D", "1E", "1F", "2A", "2B", "2C", "2D"):
        await seat_of(page, seat).click()

    assert len(await wanted(page)) == 9
    assert (await events_of(page))[-1] == {"type": "refused", "reason": "limit", "seat": "2D"}
    await expect(said(page)).to_contain_text("at most 9 seats")
    await expect(page.locator(".card")).to_contain_text("at most 9 seats")
