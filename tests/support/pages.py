"""Actions of a customer on the pages of Skyhold; elements are found by role and accessible name."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from playwright.async_api import Locator, Page, expect

from support.browsers import Visitors
from support.stacks import Stack

FL101 = "550e8400-e29b-41d4-a716-446655440001"
FL102 = "550e8400-e29b-41d4-a716-446655440002"
FL201 = "550e8400-e29b-41d4-a716-446655440003"
FL202 = "550e8400-e29b-41d4-a716-446655440004"
SK900 = "550e8400-e29b-41d4-a716-446655440005"

PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}}


@dataclass(frozen=True)
class Row:
    """A row of a flight, A to F, that no other test uses."""

    flight_id: str
    number: int

    def seats(self, letters: str) -> list[str]:
        """Return its seats by letter."""
        return [f"{self.number}{letter}" for letter in letters]

    @property
    def path(self) -> str:
        return f"/flights/{self.flight_id}"


def seat(page: Page, seat_id: str) -> Locator:
    """Return a seat of the map; its accessible name ends with its status."""
    return page.get_by_role("gridcell", name=re.compile(f"^{seat_id},"))


async def expect_seat(page: Page, seat_id: str, said: str) -> None:
    """Wait until the map shows this status of a seat."""
    await expect(seat(page, seat_id)).to_have_accessible_name(re.compile(f"^{seat_id},.*, {said}$"))


async def expect_words(place: Locator, *words: str) -> None:
    """Wait until this text is visible there."""
    for said in words:
        await expect(place).to_contain_text(said, use_inner_text=True)


async def choose(page: Page, *seat_ids: str) -> None:
    """Choose seats on the map, one after the other."""
    for seat_id in seat_ids:
        await seat(page, seat_id).click()


async def hold(page: Page, *seat_ids: str) -> None:
    """Choose seats and hold them."""
    await choose(page, *seat_ids)
    await page.get_by_role("button", name=re.compile("^Hold ")).click()
    for seat_id in seat_ids:
        await expect_seat(page, seat_id, "yours")
    await expect(page.get_by_role("timer")).to_be_visible()


async def go_to_payment(page: Page) -> None:
    """Go from the map to the page of the order."""
    await page.get_by_role("link", name=re.compile("^Pay ")).click()
    await expect(page.get_by_label("Payment code")).to_be_visible()


async def pay(page: Page, code: str) -> None:
    """Type the code and send it."""
    await page.get_by_label("Payment code").fill(code)
    await page.get_by_role("button", name=re.compile("^Pay ")).click()


async def order_page(open_page: Visitors, stack: Stack, row: Row, letters: str = "A", **options: Any) -> Page:
    """Hold these seats as a new visitor and return the page of the order."""
    api = stack.endpoints.api
    context = await open_page.newcomer(api, **options)
    held = {"flightId": row.flight_id, "seats": row.seats(letters)}
    reply = await context.request.post(f"{api}/api/orders", data=held)
    assert reply.status == 201, await reply.text()
    page = await context.new_page()
    await page.goto(f"{api}/orders/{(await reply.json())['orderId']}")
    await expect(page.get_by_label("Payment code")).to_be_visible()
    return page


async def told_by(page: Page) -> Callable[[], Awaitable[list[str]]]:
    """Record from now on the announcements of the page, as a screen reader does; the returned function returns them."""
    await page.evaluate(
        """() => {
            window.told = [];
            const regions = "[role=status], [role=alert], [aria-live]";
            new MutationObserver((changes) => {
                for (const { target } of changes) {
                    const element = target.nodeType === Node.TEXT_NODE ? target.parentElement : target;
                    for (const region of new Set([element?.closest(regions), ...element.querySelectorAll(regions)])) {
                        const text = region?.innerText.trim().replaceAll(/\\s+/g, " ");
                        if (text && text !== window.told.at(-1)) window.told.push(text);
                    }
                }
            }).observe(document.body, { subtree: true, childList: true, characterData: true });
        }"""
    )
    return lambda: page.evaluate("window.told")


async def status_of(page: Page) -> dict[str, Any]:
    """Return the API's status of the page's order, with the customer's cookie."""
    origin, _, order_id = page.url.partition("/orders/")
    reply = await page.request.get(f"{origin}/api/orders/{order_id}/status")
    assert reply.status == 200, await reply.text()
    status: dict[str, Any] = await reply.json()
    return status


async def held_by(page: Page) -> dict[str, Any]:
    """Return the API's view of the customer's only hold."""
    origin = "/".join(page.url.split("/")[:3])
    [order] = (await (await page.request.get(f"{origin}/api/orders")).json())["orders"]
    status: dict[str, Any] = await (await page.request.get(f"{origin}/api/orders/{order['orderId']}/status")).json()
    return status


async def expect_right_clock(page: Page) -> None:
    """Wait until the page shows the time that the server says is left of the hold, within a second.

    The server is queried before and after, because on a busy machine seconds pass between; a wrong clock stays wrong.
    """
    deadline = time.monotonic() + 3
    while True:
        before = (await held_by(page))["timerRemaining"]
        shown = await seconds_left(page)
        after = (await held_by(page))["timerRemaining"]
        if after - 1 <= shown <= before + 1:
            return
        assert time.monotonic() < deadline, f"the page shows {shown} s, the server said {before} s and then {after} s"


async def seconds_left(page: Page) -> int:
    """Return the time on the page's clock, in seconds."""
    return seconds_of(await page.get_by_role("timer").inner_text())


def seconds_of(digits: str) -> int:
    """Return a time such as 12:34 in seconds."""
    minutes, _, seconds = digits.partition(":")
    return 60 * int(minutes) + int(seconds)
