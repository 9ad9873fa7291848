"""Scenes of the pages for pictures: each acts like a test until the state is visible."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from playwright.async_api import Locator, Page, expect

from support.browsers import Visitors
from support.pages import (
    FL101,
    SK900,
    Row,
    choose,
    expect_seat,
    expect_words,
    hold,
    order_page,
    pay,
    seat,
)
from support.services import Service
from support.stacks import Stack


@dataclass
class Stage:
    """The environment of scenes: a stack, visitors, and their screens."""

    stack: Stack
    visitors: Visitors
    look: dict[str, Any]
    others: Service
    rows: Iterator[Row]

    async def visit(self, path: str) -> Page:
        return await self.visitors(f"{self.stack.endpoints.api}{path}", **self.look)

    async def order(self, letters: str = "AB") -> Page:
        """Return the page of a new order."""
        return await order_page(self.visitors, self.stack, next(self.rows), letters, **self.look)


Scene = Callable[[Stage], Awaitable[Page | Locator]]


async def flights(stage: Stage) -> Page:
    page = await stage.visit("/")
    await expect(page.get_by_text("live").first).to_be_visible()
    return page


async def flights_none(stage: Stage) -> Page:
    page = await stage.visit("/?origin=LHR&destination=NYC")
    await expect_words(page.get_by_role("main"), "No flights")
    return page


async def cabin(stage: Stage) -> Page:
    page = await stage.visit(f"/flights/{SK900}")
    await expect_seat(page, "40A", "available")
    return page


async def cabin_of_business(stage: Stage) -> Page:
    page = await stage.visit(f"/flights/{SK900}")
    await choose(page, "6A")
    return page


async def cabin_chosen(stage: Stage) -> Page:
    page = await stage.visit(f"/flights/{FL101}")
    await choose(page, "7B", "7C")
    return page


async def cabin_held(stage: Stage) -> Page:
    row = next(stage.rows)
    page = await stage.visit(row.path)
    await hold(page, *row.seats("AB"))
    return page


async def cabin_of_readme(stage: Stage) -> Page:
    page = await stage.visit(f"/flights/{FL101}")
    await hold(page, "5B", "5C")
    return page


async def pass_of_readme(stage: Stage) -> Locator:
    page = await order_confirmed(stage)
    return page.get_by_role("article", name="Boarding pass")


async def cabin_conflict(stage: Stage) -> Page:
    row = next(stage.rows)
    page = await stage.visit(row.path)
    await hold(page, *row.seats("A"))
    await page.route(re.compile("/api/flights/.*/events"), lambda _: None)
    await page.evaluate("window.dispatchEvent(new Event('online'))")
    await stage.others.hold(*row.seats("B"), flight_id=row.flight_id)
    await seat(page, row.seats("B")[0]).click()
    await expect_words(page.get_by_role("complementary"), "was just taken")
    return page


async def cabin_tools(stage: Stage) -> Page:
    page = await stage.visit(f"/flights/{SK900}")
    await expect_seat(page, "40A", "available")
    finder = page.get_by_role("button", name=re.compile("^Find a seat"))
    if await finder.is_visible():
        await finder.click()
    await page.get_by_text("Choose from a list").click()
    return page


async def order_held(stage: Stage) -> Page:
    return await stage.order()


async def order_fault(stage: Stage) -> Page:
    page = await stage.order()
    await pay(page, "12")
    return page


async def order_paying(stage: Stage) -> Page:
    page = await stage.order()
    await pay(page, "12345")
    await expect_words(page.get_by_role("main"), "attempt 1 of 3")
    return page


async def order_offline(stage: Stage) -> Page:
    page = await stage.order()
    await page.context.set_offline(offline=True)
    await pay(page, "99999")
    await expect_words(page.get_by_role("main"), "No answer yet")
    return page


async def order_confirmed(stage: Stage) -> Page:
    page = await stage.order("ABC")
    await pay(page, "99999")
    await expect(page.get_by_role("article", name="Boarding pass")).to_be_visible()
    return page


async def order_declined(stage: Stage) -> Page:
    return await _ended(stage, lambda page: pay(page, "00000"), "declined")


async def order_cancelled(stage: Stage) -> Page:
    return await _ended(stage, lambda page: page.get_by_role("button", name="Give the seats back").click(), "back")


async def order_second_attempt(stage: Stage) -> Page:
    page = await stage.order()
    await pay(page, "12345")
    await expect_words(page.get_by_role("main"), "attempt 2 of 3")
    return page


async def order_failed(stage: Stage) -> Page:
    return await _ended(stage, lambda page: pay(page, "12345"), "did not go through")


async def order_expired(stage: Stage) -> Page:
    return await _ended(stage, _wait, "Time ran out")


async def cabin_expired(stage: Stage) -> Page:
    page = await cabin_held(stage)
    await expect_words(page.get_by_role("complementary"), "Time ran out")
    return page


async def no_such_order(stage: Stage) -> Page:
    return await stage.visit("/orders/none")


async def without_scripts(stage: Stage) -> Page:
    look = stage.look | {"java_script_enabled": False}
    return await stage.visitors(f"{stage.stack.endpoints.api}/flights/{FL101}", **look)


async def _ended(stage: Stage, end: Callable[[Page], Awaitable[None]], headline: str) -> Page:
    page = await stage.order()
    await end(page)
    await expect(page.get_by_role("heading", level=1)).to_contain_text(headline)
    return page


async def _wait(_: Page) -> None:
    return


SOLD = [
    (FL101, ["1A 1B", "1D", "2C 2D", "3A", "3E 3F", "4B 4C", "6D 6E 6F", "8A 8B", "9C", "10E 10F"], "2A 4F 7D"),
    (
        SK900,
        ["1A", "2D", "7A", "7D", "8K", "21A 21B 21C", "22D 22E", "24J 24K", "30D 30E", "33F", "41D 41E 41F"],
        "9G 20A 23B",
    ),
]
"""Seats by flight: the paid ones, by order, and those on hold."""

USUAL = {"PAYMENT_FAILURE_RATE": "0", "PAYMENT_SIMULATED_LATENCY": "5s"}
FAILING = {"PAYMENT_FAILURE_RATE": "1", "PAYMENT_SIMULATED_LATENCY": "1s"}
PLAYS: list[tuple[dict[str, str], dict[str, Scene]]] = [
    (
        USUAL,
        {
            "flights": flights,
            "flights-none": flights_none,
            "cabin-wide": cabin,
            "cabin-business": cabin_of_business,
            "cabin-tools": cabin_tools,
            "cabin-chosen": cabin_chosen,
            "cabin-held": cabin_held,
            "cabin-conflict": cabin_conflict,
            "order-held": order_held,
            "order-fault": order_fault,
            "order-paying": order_paying,
            "order-offline": order_offline,
            "order-confirmed": order_confirmed,
            "order-declined": order_declined,
            "order-cancelled": order_cancelled,
            "no-such-order": no_such_order,
            "without-scripts": without_scripts,
        },
    ),
    (FAILING, {"order-second-attempt": order_second_attempt, "order-failed": order_failed}),
    (USUAL | {"SEAT_RESERVATION_TIMEOUT": "4m"}, {"order-amber": order_held, "cabin-amber": cabin_held}),
    (
        USUAL | {"SEAT_RESERVATION_TIMEOUT": "6s"},
        {"order-red": order_held, "order-expired": order_expired, "cabin-expired": cabin_expired},
    ),
]
FOR_README: dict[str, Scene] = {"cabin": cabin_of_readme, "boarding-pass": pass_of_readme}


async def sell_some(others: Service) -> None:
    """Sell some seats first, because an empty aircraft looks unrealistic."""
    for flight_id, sold, held in SOLD:
        for seats in sold:
            others.api.cookies.clear()
            order = await others.hold(*seats.split(), flight_id=flight_id)
            await others.pay(order["orderId"])
        others.api.cookies.clear()
        await others.hold(*held.split(), flight_id=flight_id)
    others.api.cookies.clear()
