"""What a customer does at the pages of Skyhold: things are found by role and by what they are called."""

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
    """A row of a flight, A to F, that no other test sits in."""

    flight_id: str
    number: int

    def seats(self, letters: str) -> list[str]:
        """Return seats of it by their letters."""
        return [f"{self.number}{letter}" for letter in letters]

    @property
    def path(self) -> str:
        return f"/flights/{self.flight_id}"


def seat(page: Page, seat_id: str) -> Locator:
    """Return a seat of the map; what it is called ends with what has become of it."""
    return page.get_by_role("gridcell", name=re.compile(f"^{seat_id},"))


async def expect_seat(page: Page, seat_id: str, said: str) -> None:
    """Wait until the map says this of a seat."""
    await expect(seat(page, seat_id)).to_have_accessible_name(re.compile(f"^{seat_id},.*, {said}$"))


async def expect_words(place: Locator, *words: str) -> None:
    """Wait until these words can be read there."""
    for said in words:
        await expect(place).to_contain_text(said, use_inner_text=True)


async def choose(page: Page, *seat_ids: str) -> None:
    """Choose seats on the map, one after the other."""
    for seat_id in seat_ids:
        await seat(page, seat_id).click()


async def hold(page: Page, *seat_ids: str) -> None:
    """Choose seats and have them held."""
    await choose(page, *seat_ids)
    await page.get_by_role("button", name=re.compile("^Hold ")).click()
    for seat_id in seat_ids:
        await expect_seat(page, seat_id, "yours")
    await expect(page.get_by_role("timer")).to_be_visible()


async def go_to_payment(page: Page) -> None:
    """Go on from the map to the order."""
    await page.get_by_role("link", name=re.compile("^Pay ")).click()
    await expect(page.get_by_label("Payment code")).to_be_visible()


async def pay(page: Page, code: str) -> None:
    """Type the code and send it."""
    await page.get_by_label("Payment code").fill(code)
    await page.get_by_role("button", name=re.compile("^Pay ")).click()


async def order_page(open_page: Visitors, stack: Stack, row: Row, letters: str = "A", **options: Any) -> Page:
    """Let someone new hold these seats and come to the page of their order."""
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
    """Listen from now on to what the page tells by itself, as a screen reader does; the function returns it."""
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
    """Return what the API says of the order that the page shows, to the customer who looks at it."""
    origin, _, order_id = page.url.partition("/orders/")
    reply = await page.request.get(f"{origin}/api/orders/{order_id}/status")
    assert reply.status == 200, await reply.text()
    status: dict[str, Any] = await reply.json()
    return status


async def held_by(page: Page) -> dict[str, Any]:
    """Return what the API says of the one hold of the customer who looks at the page."""
    origin = "/".join(page.url.split("/")[:3])
    [order] = (await (await page.request.get(f"{origin}/api/orders")).json())["orders"]
    status: dict[str, Any] = await (await page.request.get(f"{origin}/api/orders/{order['orderId']}/status")).json()
    return status


async def expect_right_clock(page: Page) -> None:
    """Wait until the page shows what the server says is left of the hold, within a second.

    It is asked before and after, for on a busy machine seconds pass in between; a clock that is wrong stays wrong.
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
    """Return what the clock on the page shows, in seconds."""
    return seconds_of(await page.get_by_role("timer").inner_text())


def seconds_of(digits: str) -> int:
    """Return what 12:34 is in seconds."""
    minutes, _, seconds = digits.partition(":")
    return 60 * int(minutes) + int(seconds)
