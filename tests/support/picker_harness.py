"""The seat picker on a page of its own: no server, no orders, a local flight and an owner that only records events."""

from __future__ import annotations

import json
import mimetypes
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from playwright.async_api import BrowserContext, Locator, Page, Route

import skyhold
from skyhold.domain.alternatives import find_suggestions
from skyhold.domain.seat_plans import CabinLayout, PlacedSeat, SeatPlan
from skyhold.domain.seats import STATUS_WORDS, SeatStatus
from skyhold.stores.demo_flights import DEMO_FLIGHTS, DemoCabin, DemoFlight
from skyhold.web.pages.rendering import PAGE_POLICY
from support.browsers import Visitors

ADDRESS = "http://pages.test/"

A_PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}

EACH_STATUS = {"1A": "booked", "1B": "reserved", "1C": "blocked", "34D": "booked", "34E": "reserved", "34F": "blocked"}
"""Seats of both cabins in every status except available."""

_WEB = Path(skyhold.__file__).parent / "web" / "pages"

_PAGE = """<!doctype html>
<html lang="en" data-ready>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Seats of {flight[flightNumber]}</title>
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/static/tokens.css">
<link rel="stylesheet" href="/static/base.css">
<link rel="stylesheet" href="/static/flight.css">
<link rel="stylesheet" href="/static/cabin.css">
</head>
<body>
<header class="top"><a class="brand" href="/">Skyhold</a><nav aria-label="Site"><a href="/">Flights</a></nav></header>
<main id="main" data-seat-words="{seat_words}">
<div class="strip"><div>
<h1><b>{flight[origin]}</b><span class="arrow" aria-hidden="true"></span><span class="vh"> to </span>
<b>{flight[destination]}</b></h1>
<p class="muted">{flight[flightNumber]}</p>
</div></div>
<div class="deck">
<section class="tools" id="tools" aria-label="Find a seat"></section>
<div class="cabin" id="cabin"></div>
<aside class="hold pre" aria-labelledby="hold-title">
<div class="now"><div><h2 id="hold-title">Choose your seats</h2><p class="muted small">Nothing is held.</p></div></div>
</aside>
</div>
</main>
<footer class="foot"><p>The end</p></footer>
<div class="vh" id="say" role="status" aria-live="polite"></div>
<div class="vh" id="say-at-once" role="alert"></div>
{icons}
<script type="application/json" id="flight">{flight_json}</script>
<script type="module" src="/owner.js"></script>
</body>
</html>
"""

# The owner in these tests accepts the customer's choice, holds nothing, and records every event.
_OWNER = """
import { SeatPicker } from "/static/seat_picker.js";

const flight = JSON.parse(document.getElementById("flight").textContent);
const part = (id) => document.getElementById(id);
const before = performance.now();
// In place of the API: the search over the seats that are free on the page, or held by its customer.
const suggest = async (count, filters) => {
  const isFree = ({ id, status }) => status === "available" || held.has(id);
  const free = picker.plan.seats.filter(isFree).map(({ id }) => ["free", id]);
  const reply = await fetch(`/suggestions?${new URLSearchParams([["count", count], ...filters, ...free])}`);
  return reply.json();
};
const held = new Set();
const options = { cabin: part("cabin"), tools: part("tools"), flight, maxSeats: 9, suggest };
const picker = new SeatPicker(options);
const events = [];
for (const type of ["want", "lost", "refused"]) {
  picker.addEventListener(type, ({ detail }) => events.push({ type, ...detail }));
}
Object.assign(window, { picker, held, events, drawnIn: performance.now() - before, SeatPlan: picker.plan.constructor, flight });
"""


def a_flight(
    number: str = "FL101", *, taken: Mapping[str, str] | None = None, cabins: tuple[DemoCabin, ...] | None = None
) -> dict[str, Any]:
    """Return a demo flight as the API sends it: all seats available, except these with their statuses."""
    demo = next(flight for flight in DEMO_FLIGHTS if flight.flight_number == number)
    cabins = cabins or demo.cabins
    seats = [seat for cabin in cabins for seat in _seats(cabin, taken or {})]
    return {
        **_head(demo),
        "totalSeats": len(seats),
        "availableSeats": sum(seat["status"] == "available" for seat in seats),
        "seatMap": {
            "rows": sum(cabin.last_row - cabin.first_row + 1 for cabin in cabins),
            "seatsPerRow": max(len(cabin.layout.replace(" ", "")) for cabin in cabins),
            "cabins": [_cabin(cabin) for cabin in cabins],
            "seats": seats,
        },
    }


def _head(flight: DemoFlight) -> dict[str, Any]:
    return {
        "id": flight.id,
        "flightNumber": flight.flight_number,
        "origin": flight.origin,
        "destination": flight.destination,
        "departureTime": "2036-03-01T12:00:00.000Z",
        "departureZone": "America/New_York",
        "arrivalTime": "2036-03-01T18:00:00.000Z",
        "arrivalZone": "America/Los_Angeles",
        "priceCents": flight.price_cents,
        "currency": "USD",
    }


def _cabin(cabin: DemoCabin) -> dict[str, Any]:
    return {
        "name": cabin.name,
        "firstRow": cabin.first_row,
        "lastRow": cabin.last_row,
        "layout": cabin.layout,
        "exitRows": list(cabin.exit_rows),
    }


def _seats(cabin: DemoCabin, taken: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "id": f"{row}{letter}",
            "row": row,
            "column": letter,
            "status": taken.get(f"{row}{letter}", "available"),
            "cabin": cabin.name,
            "features": [*(["exit_row"] if row in cabin.exit_rows else []), *cabin.features],
            "priceCents": cabin.prices.get(row, cabin.price_cents),
            "version": 1,
        }
        for row in range(cabin.first_row, cabin.last_row + 1)
        for letter in cabin.layout.replace(" ", "")
    ]


async def serve_picker(context: BrowserContext, flight: dict[str, Any]) -> None:
    """Answer every request of this profile to `ADDRESS` with the page, its owner, and the real static files."""
    icons = (_WEB / "templates" / "icons.svg").read_text(encoding="utf-8")
    page = _PAGE.format(
        flight=flight, icons=icons, flight_json=json.dumps(flight), seat_words=escape(json.dumps(STATUS_WORDS))
    )

    async def answer(route: Route) -> None:
        path = route.request.url.removeprefix(ADDRESS)
        if path.startswith("static/"):
            kind = mimetypes.guess_type(path)[0] or "text/plain"
            await route.fulfill(body=(_WEB / path).read_bytes(), content_type=kind)
        elif path.startswith("suggestions?"):
            await route.fulfill(json=_suggest(flight, parse_qs(path.partition("?")[2])))
        elif path == "owner.js":
            await route.fulfill(body=_OWNER, content_type="text/javascript")
        else:
            headers = {"Content-Security-Policy": PAGE_POLICY}
            await route.fulfill(body=page, content_type="text/html; charset=utf-8", headers=headers)

    await context.route(f"{ADDRESS}**", answer)


def _suggest(flight: dict[str, Any], asked: dict[str, list[str]]) -> list[list[str]]:
    """Answer like the API, for these free seats of the flight."""
    free = set(asked["free"])
    seats = [
        PlacedSeat(
            seat["id"],
            seat["row"],
            seat["column"],
            seat["cabin"],
            SeatStatus.AVAILABLE if seat["id"] in free else SeatStatus.BOOKED,
            seat["priceCents"],
            "exit_row" in seat["features"],
        )
        for seat in flight["seatMap"]["seats"]
    ]
    cabins = [
        CabinLayout(cabin["name"], cabin["firstRow"], cabin["lastRow"], cabin["layout"])
        for cabin in flight["seatMap"]["cabins"]
    ]
    plan = SeatPlan(seats, cabins)
    among = plan.matching(
        is_exit_row="exitRow" in asked,
        prices=[int(price) for price in asked.get("priceCents", ())],
        kinds=[position[0] for position in asked.get("position", ())],
    )
    return [list(found.seats) for found in find_suggestions(plan, int(asked["count"][0]), among=among)]


async def open_picker(visitors: Visitors, flight: dict[str, Any], **options: Any) -> Page:
    """Return a new visitor's page with the drawn picker of this flight; options are those of Playwright's contexts."""
    context = await visitors.newcomer(ADDRESS, **options)
    await serve_picker(context, flight)
    page = await context.new_page()
    await page.goto(ADDRESS)
    assert await page.evaluate("window.picker !== undefined"), "a page is loaded when its modules have run"
    return page


async def next_frame(page: Page) -> None:
    """Wait until all changes of the picker are drawn."""
    await page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


async def events_of(page: Page) -> list[dict[str, Any]]:
    """Return the events that the picker has sent its owner so far."""
    events: list[dict[str, Any]] = await page.evaluate("events")
    return events


def seat_of(page: Page, seat: str) -> Locator:
    """Return the cell of a seat in the map."""
    return page.get_by_role("gridcell", name=re.compile(rf"^{seat}, "))


async def apply(page: Page, **statuses: str) -> None:
    """Send a live event with these statuses, with each seat's next version."""
    await page.evaluate(
        """(statuses) => picker.apply(Object.entries(statuses).map(([id, status]) =>
            ({ id, status, version: picker.plan.seat(id).version + 1 })))""",
        statuses,
    )


async def show(page: Page, **has: Any) -> None:
    """Let the owner set the customer's state, and wait until it is drawn."""
    draw = """(has) => {
        held.clear();
        for (const seat of has.held ?? []) held.add(seat);
        picker.show({ ...has, own: new Map(has.own ?? []) });
    }"""
    await page.evaluate(draw, has)
    await next_frame(page)


async def focused_seat(page: Page) -> str | None:
    """Return the seat of the map that has the focus."""
    focused: str | None = await page.evaluate("document.activeElement.dataset.seat ?? null")
    return focused


async def press(page: Page, *keys: str) -> None:
    """Press keys one after the other."""
    for key in keys:
        await page.keyboard.press(key)


async def wanted(page: Page) -> list[str]:
    """Return the seats that the customer wanted last."""
    wants = [event for event in await events_of(page) if event["type"] == "want"]
    seats: list[str] = wants[-1]["seats"] if wants else []
    return seats


def said(page: Page) -> Locator:
    """Return the element of polite announcements to screen readers."""
    return page.locator("#say")
