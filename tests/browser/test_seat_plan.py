"""The model behind the seat picker: positions of seats, prices, versions, and words for groups."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser, Page

from skyhold.stores.demo_flights import DemoCabin
from support.browsers import Visitors
from support.picker_harness import a_flight, open_picker


@pytest.fixture(scope="module")
async def plans(browser: Browser) -> AsyncIterator[Page]:
    """One page for all tests: a plan is built from a flight, and a page may have several."""
    visitors = Visitors(browser)
    yield await open_picker(visitors, a_flight())
    await visitors.leave()
    assert not visitors.unexpected


async def show_plan(page: Page, flight: dict[str, Any]) -> Page:
    """Build a plan of this flight, and set the page's `picker` and `flight` to it."""
    await page.evaluate("(flight) => Object.assign(window, { flight, picker: { plan: new SeatPlan(flight) } })", flight)
    return page


async def _row(page: Page, number: int) -> list[list[str]]:
    found: list[list[str]] = await page.evaluate(
        "(number) => picker.plan.rows.find((row) => row.number === number).blocks.map((b) => b.map((s) => s.position))",
        number,
    )
    return found


async def test_a_seat_is_by_the_window_on_the_aisle_both_or_neither(plans: Page) -> None:
    page = await show_plan(plans, a_flight("SK900"))

    both = "window and aisle"
    assert await _row(page, 1) == [[both], ["aisle", "aisle"], [both]]
    assert await _row(page, 48) == [
        ["window", "middle", "aisle"],
        ["aisle", "middle", "aisle"],
        ["aisle", "middle", "window"],
    ]


async def test_a_seat_is_described_by_its_position_its_cabin_and_what_it_has(plans: Page) -> None:
    page = await show_plan(plans, a_flight("SK900"))

    described = await page.evaluate("['1A', '6D', '33E'].map((id) => picker.plan.describe(id))")
    assert described == [
        ["window and aisle", "first", "suite"],
        ["aisle", "business", "flat bed"],
        ["middle", "economy", "exit row"],
    ]


async def test_prices_of_a_cabin_are_tiers_from_the_cheapest_up(plans: Page) -> None:
    page = await show_plan(plans, a_flight("SK900"))

    assert await page.evaluate("picker.plan.cabins.map(({ prices }) => prices)") == [
        [690000],
        [340000],
        [61000, 72000, 79000],
    ]
    tiers = await page.evaluate("['1A', '48A', '20A', '33A'].map((id) => picker.plan.seat(id).tier)")
    assert tiers == [0, 0, 1, 2]


async def test_only_a_higher_version_of_a_seat_counts(plans: Page) -> None:
    page = await show_plan(plans, a_flight())

    told = """(version) => {
        const plan = new SeatPlan(flight);
        plan.apply([{ id: "5A", status: "reserved", version: 7 }]);
        const changed = plan.apply([{ id: "5A", status: "available", version }]);
        return [plan.seat("5A").status, plan.seat("5A").version, changed.length];
    }"""
    assert await page.evaluate(told, 6) == ["reserved", 7, 0]
    assert await page.evaluate(told, 7) == ["reserved", 7, 0]
    assert await page.evaluate(told, 8) == ["available", 8, 1]


async def test_a_seat_that_is_not_on_the_flight_changes_nothing(plans: Page) -> None:
    page = await show_plan(plans, a_flight())

    assert await page.evaluate("picker.plan.apply([{ id: '99K', status: 'booked', version: 9 }])") == []
    assert await page.evaluate("picker.plan.inOrder(['10A', '2C', '99K', '2A', '2C'])") == ["2A", "2C", "10A"]


@pytest.mark.parametrize(
    ("seats", "words"),
    [
        (["5A"], ""),
        (["5A", "5B", "5C"], ""),
        (["5C", "5D"], "across the aisle"),
        (["5A", "5C"], "in the same row"),
        (["5A", "6A", "6B"], "in neighbouring rows"),
        (["5A", "6A", "8A"], "the closest there are"),
    ],
)
async def test_how_far_seats_are_together_is_said_in_words(plans: Page, seats: list[str], words: str) -> None:
    page = await show_plan(plans, a_flight())

    assert await page.evaluate("(seats) => picker.plan.howTogether(seats)", seats) == words


async def test_a_cabin_without_an_aisle_and_rows_with_seats_missing_are_a_plan_too(open_page: Visitors) -> None:
    flight = a_flight(cabins=(DemoCabin("economy", 1, 3, "AB", 9900), DemoCabin("rear", 7, 8, "ABC", 8800)))
    seats = flight["seatMap"]["seats"]
    flight["seatMap"]["seats"] = [seat for seat in seats if seat["id"] not in {"2A", "7B"}]
    page = await open_picker(open_page, flight)

    assert await _row(page, 1) == [["window", "window"]]
    assert await page.get_by_role("gridcell").count() == len(seats) - 2
