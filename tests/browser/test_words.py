"""Server and browser render the same text, because the browser continues a page that the server began."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import airportsdata
import pytest
from playwright.async_api import Page

from skyhold.web.pages.assets import Assets
from skyhold.web.pages.words import PlaceTime, duration, length_of_time, money
from support.browsers import Visitors
from support.stacks import Stack

pytestmark = pytest.mark.rest

INSTANTS = [
    datetime.fromisoformat(f"2026-{month}-15T{hour}:35:00+00:00") for month in ("01", "07") for hour in ("05", "17")
]


async def _said(page: Page, function: str, *calls: Sequence[object]) -> list[object]:
    """Return the results of the function of words.js for each of the calls."""
    said: list[object] = await page.evaluate(
        """async ([module, name, calls]) => {
            const words = await import(module);
            return calls.map((call) => words[name](...call));
        }""",
        [Assets().address_of("words.js"), function, list(calls)],
    )
    return said


async def test_times_at_all_airports_are_written_alike(open_page: Visitors, stack: Stack) -> None:
    page = await open_page(f"{stack.endpoints.api}/orders/another")
    zones = sorted({airport["tz"] for airport in airportsdata.load("IATA").values() if airport["tz"]})
    assert len(zones) > 300
    asked = [(instant, zone) for zone in zones for instant in INSTANTS]
    said = await _said(page, "atPlace", *([instant.isoformat(), zone] for instant, zone in asked))
    skies = await _said(page, "skyAt", *([there["time"]] for there in said))  # type: ignore[index]
    for (instant, zone), there, sky in zip(asked, said, skies, strict=True):
        ours = PlaceTime.of(instant, zone)
        assert there == {"time": ours.time, "zone": ours.zone, "day": ours.day}, zone
        assert sky == ours.sky


async def test_money_and_lengths_of_time_are_written_alike(open_page: Visitors, stack: Stack) -> None:
    page = await open_page(f"{stack.endpoints.api}/orders/another")
    amounts = [
        (cents, code) for cents in (0, 5, 35000, 35050, 123456789) for code in ("USD", "EUR", "GBP", "AUD", "CHF")
    ]
    assert await _said(page, "money", *map(list, amounts)) == [money(cents, code) for cents, code in amounts]
    start, minutes = INSTANTS[0], (0, 1, 45, 60, 90, 360, 1560)
    spans = [[start.isoformat(), (start + timedelta(minutes=length)).isoformat()] for length in minutes]
    assert await _said(page, "duration", *spans) == [duration(start, start + timedelta(minutes=m)) for m in minutes]
    seconds = (1, 8, 60, 61, 150, 900, 7200)
    said = await _said(page, "lengthOfTime", *([1000 * length] for length in seconds))
    assert said == [length_of_time(length) for length in seconds]
