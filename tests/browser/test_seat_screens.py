"""The seats on every screen: the card, a phone, forced colours."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from support.browsers import Visitors
from support.picker_harness import (
    A_PHONE,
    a_flight,
    next_frame,
    open_picker,
    press,
    seat_of,
    show,
    wanted,
)

pytestmark = pytest.mark.rest


async def test_the_card_follows_the_mouse_and_the_keyboard(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight())
    card = page.locator(".card")

    await seat_of(page, "9C").hover()
    await expect(card).to_be_visible()
    await expect(card).to_have_text("9C$350Aisle, economyAvailable")
    await page.mouse.move(5, 5)
    await expect(card).to_be_hidden()
    await page.get_by_role("textbox", name="Go to seat").fill("10B")
    await press(page, "Enter")
    await expect(card).to_have_text("10B$350Middle, economy, exit rowAvailable")
    await press(page, "Space")
    await expect(card).to_contain_text("Chosen, not yet held")


async def test_the_card_is_away_from_a_seat_that_was_pressed(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight())
    card = page.locator(".card")
    await seat_of(page, "9C").hover()
    await expect(card).to_be_visible()

    await seat_of(page, "9C").click()
    await expect(seat_of(page, "9C")).to_have_attribute("data-st", "picked")
    await seat_of(page, "8C").click(timeout=5_000)  # It was under the card, which must not stay there.

    assert await wanted(page) == ["8C", "9C"]
    await page.wait_for_timeout(300)  # Longer than the hover delay of the card.
    await expect(card).to_be_hidden()


async def test_escape_takes_the_card_away_and_the_mouse_can_go_onto_it(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight())
    card = page.locator(".card")
    await seat_of(page, "9C").hover()
    await expect(card).to_be_visible()

    box = await card.bounding_box()
    assert box
    # Not in more steps: on a busy machine a slow move is outside for as long as a mouse that has left.
    await page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=4)
    await next_frame(page)
    await page.wait_for_timeout(300)  # Longer than the card stays after the mouse has left.
    await expect(card).to_have_text("9C$350Aisle, economyAvailable")
    await press(page, "Escape")
    await expect(card).to_be_hidden()


async def test_the_card_is_never_cut_off(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight("SK900"), viewport={"width": 320, "height": 640})

    for seat in ("20A", "20K", "1A", "48K", "33E"):
        for edge in ("start", "end"):
            await seat_of(page, seat).evaluate("(seat, block) => seat.scrollIntoView({ block })", edge)
            await page.evaluate("(id) => picker.card.note(id, 'A longer line that says why.')", seat)
            await expect(page.locator(".card")).to_be_visible()
            box = await page.locator(".card").bounding_box()
            assert box
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 320
            assert box["y"] >= 0
            assert box["y"] + box["height"] <= 640


@pytest.mark.parametrize("number", ["FL101", "SK900"])
async def test_the_first_screen_of_a_phone_shows_seats(open_page: Visitors, number: str) -> None:
    page = await open_picker(open_page, a_flight(number), **A_PHONE)

    await expect(page.get_by_role("button", name="Find a seat")).to_be_visible()
    await expect(page.get_by_role("combobox")).to_be_hidden()
    for seat in ("1A", "2A"):
        await expect(seat_of(page, seat)).to_be_in_viewport(ratio=1)


async def test_a_finger_chooses_without_a_card_in_its_way(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight(taken={"1B": "booked"}), **A_PHONE)

    await seat_of(page, "1A").tap()
    await seat_of(page, "2A").tap()
    assert await wanted(page) == ["1A", "2A"]
    await expect(page.locator(".card")).to_be_hidden()
    await seat_of(page, "1B").tap(force=True)

    await expect(page.locator(".card")).to_contain_text("Taken")
    await seat_of(page, "3A").tap()
    await expect(page.locator(".card")).to_be_hidden()


async def test_the_tools_of_a_phone_open_over_the_cabin_and_go_away(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight("SK900"), **A_PHONE)
    bar = page.get_by_role("button", name="Find a seat")

    await bar.tap()
    await expect(bar).to_have_attribute("aria-expanded", "true")
    await expect(page.get_by_text("Choose from a list")).to_be_in_viewport(ratio=1)
    await press(page, "Escape")
    await expect(page.get_by_text("Choose from a list")).to_be_hidden()
    await expect(bar).to_be_focused()
    await bar.tap()
    await page.get_by_role("button", name="Find", exact=True).tap()

    await expect(bar).to_have_attribute("aria-expanded", "false")
    await expect(seat_of(page, "34A")).to_be_focused()
    await expect(seat_of(page, "34A")).to_be_in_viewport(ratio=1)


async def test_opening_the_tools_deep_in_the_cabin_keeps_the_place(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight("SK900"), **A_PHONE)
    await seat_of(page, "40E").scroll_into_view_if_needed()
    before = await page.evaluate("scrollY")

    # Not tapped: a tap would first scroll the bar, which is at the top already.
    await page.get_by_role("button", name="Find a seat").dispatch_event("click")
    await expect(page.get_by_text("Choose from a list")).to_be_in_viewport(ratio=1)
    await page.get_by_role("button", name="Show the seats").dispatch_event("click")

    await expect(page.get_by_text("Choose from a list")).to_be_hidden()
    assert await page.evaluate("scrollY") == before


@pytest.mark.parametrize(("width", "least"), [(320, 24), (360, 28), (768, 40), (1280, 40)])
async def test_seats_fit_every_screen(open_page: Visitors, width: int, least: int) -> None:
    page = await open_picker(open_page, a_flight("SK900"), viewport={"width": width, "height": 700})

    assert await page.evaluate("document.documentElement.scrollWidth") == width
    boxes = await page.get_by_role("gridcell").evaluate_all(
        "cells => cells.map((cell) => cell.getBoundingClientRect()).map(({ width, height }) => [width, height])"
    )
    assert min(min(box) for box in boxes) >= least


async def test_states_are_told_apart_without_the_colours_of_the_page(open_page: Visitors) -> None:
    taken = {"1A": "booked", "1B": "reserved", "1C": "blocked"}
    page = await open_picker(open_page, a_flight(taken=taken), forced_colors="active")
    await show(page, wanted=["1D", "1E"], held=["1D"])

    drawn = """(id) => {
        const seat = document.querySelector(`#s${id}`);
        const sign = getComputedStyle(seat, "::after");
        const { borderStyle, borderTopWidth, backgroundColor } = getComputedStyle(seat);
        return [sign.content, sign.maskImage, borderStyle, borderTopWidth, backgroundColor].join(" ");
    }"""
    looks = [await page.evaluate(drawn, seat) for seat in ("1A", "1B", "1C", "1D", "1E", "1F")]
    assert len(set(looks)) == 6
