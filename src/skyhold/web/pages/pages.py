"""The pages: the flights, one flight, one order. Read from PostgreSQL only, so Temporal may be unavailable.

Each page contains everything that can be read without scripts; its modules add the live parts by the public API.
Every page makes a new browser a guest, so that all requests of its modules belong to the same guest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, FastAPI, Path, Request, Response

from skyhold.domain.errors import FlightNotFound, InvalidRequest, OrderNotFound
from skyhold.domain.flights import canonical_flight_id, is_flight_id
from skyhold.domain.orders import is_order_id
from skyhold.domain.seats import STATUS_WORDS, SeatStatus
from skyhold.queries.flights import FlightFilter
from skyhold.queries.pages import Position
from skyhold.queries.seat_map import CabinView, SeatView
from skyhold.web.api.cursors import CURSOR_LENGTH_LIMIT, PAGE_UNLESS_SAID, read_cursor, write_cursor
from skyhold.web.api.flight_filters import AIRPORT_PATTERN, parse_day
from skyhold.web.api.services import UsedServices
from skyhold.web.identity import Caller, UsedCaller, remember_guest
from skyhold.web.pages.assets import Assets
from skyhold.web.pages.cities import Cities
from skyhold.web.pages.legs import BLANK, Leg
from skyhold.web.pages.order_words import sentence_of
from skyhold.web.pages.page_problems import install_page_problems
from skyhold.web.pages.places import Places
from skyhold.web.pages.rendering import ASKED_AGAIN, NOT_KEPT, Pages, pages_of
from skyhold.web.pages.words import day_of, spelled_length

router = APIRouter(include_in_schema=False)

_CODE = re.compile(AIRPORT_PATTERN)


def install_pages(app: FastAPI, prefix: str) -> None:
    """Add the pages, with this prefix in their links, and render problems as pages; install problem handlers first."""
    assets = Assets()
    app.state.assets = assets
    app.state.pages = Pages(assets, prefix)
    app.state.cities = Cities()
    app.state.places = Places(lambda: app.state.services.flights)
    app.router.routes += router.routes
    install_page_problems(app)


@router.get("/")
async def show_flights(request: Request, services: UsedServices, caller: UsedCaller) -> Response:
    """Show the flights that have not departed, by departure, and the choices to filter them by."""
    places: Places = request.app.state.places
    cities = await _cities(request)
    wanted = _filter_of(request.query_params)
    after = _position_of(request.query_params.get("cursor"), wanted)
    page = await services.flights.list_upcoming(wanted, limit=PAGE_UNLESS_SAID, after=after)
    choices = await places.choices()
    more = _address_of(wanted, cursor=write_cursor(page.next, wanted)) if page.next else None
    context = {
        "flights": [Leg.of(flight, cities) for flight in page.flights],
        "wanted": wanted,
        "none_title": _none_of(wanted, cities),
        "blank": BLANK,
        "origins": _named(choices.origins, wanted.origin, cities),
        "destinations": _named(choices.destinations, wanted.destination, cities),
        "more": more,
        "hold_time": spelled_length(services.policy.hold_seconds),
    }
    return await _shown(request, caller, "flights.html", context)


@router.get("/flights/{flightId}")
async def show_flight(
    request: Request, services: UsedServices, caller: UsedCaller, flight_id: Annotated[str, Path(alias="flightId")]
) -> Response:
    """Show one flight with its free seats; also one that has departed."""
    canonical = canonical_flight_id(flight_id)
    found = await services.seat_maps.find_flight(canonical) if canonical else None
    if found is None:
        raise FlightNotFound
    context = {
        "flight": Leg.of(found.flight, await _cities(request)),
        "max_seats": services.policy.max_seats,
        "hold_seconds": round(services.policy.hold_seconds),
        "has_departed": found.has_departed,
        "seat_words": json.dumps(STATUS_WORDS),
        "cabins": _free_seats(found.seat_map.cabins, found.seat_map.seats),
    }
    return await _shown(request, caller, "flight.html", context)


@router.get("/orders/{orderId}")
async def show_order(
    request: Request, services: UsedServices, caller: UsedCaller, order_id: Annotated[str, Path(alias="orderId")]
) -> Response:
    """Show an order to its owner."""
    order = await services.orders.find(order_id, caller.access_to(order_id)) if is_order_id(order_id) else None
    if order is None:
        raise OrderNotFound
    flight = await services.flights.find(order.flight_id) if order.flight_id else None
    leg = Leg.of(flight, await _cities(request)) if flight else None
    context = {
        "order": order,
        "order_words": sentence_of(order),
        "flight": leg,
        "origin_city": leg.origin_city if leg else "",
        "destination_city": leg.destination_city if leg else "",
    }
    return await _shown(request, caller, "order.html", context, cache_control=NOT_KEPT)


async def _shown(
    request: Request, caller: Caller, template: str, context: Mapping[str, Any], *, cache_control: str = ASKED_AGAIN
) -> Response:
    page = pages_of(request).reply(request, template, context, cache_control=cache_control)
    await remember_guest(request, page, caller, caller.guest or caller.identities.new_guest())
    return page


async def _cities(request: Request) -> Cities:
    cities: Cities = request.app.state.cities
    await cities.load()
    return cities


def _filter_of(asked: Mapping[str, str]) -> FlightFilter:
    """Return the filter that the fields of the form describe; an empty field filters nothing.

    Raises:
        InvalidRequest: a field is malformed.
    """
    return FlightFilter(_code_of(asked.get("origin")), _code_of(asked.get("destination")), _day_of(asked.get("date")))


def _day_of(text: str | None) -> date | None:
    day = (text or "").strip()
    if not day:
        return None
    try:
        return parse_day(day)
    except ValueError:
        raise InvalidRequest("A date is written like 2026-11-24: year, month, day.") from None


def _code_of(text: str | None) -> str | None:
    code = (text or "").strip()
    if code and not _CODE.fullmatch(code):
        raise InvalidRequest("A place is three letters, like NYC.")
    return code.upper() or None


def _position_of(cursor: str | None, wanted: FlightFilter) -> Position | None:
    if not cursor:
        return None
    try:
        return read_cursor(cursor[: CURSOR_LENGTH_LIMIT + 1], wanted, is_id=is_flight_id)
    except InvalidRequest:
        raise InvalidRequest("This part of the list no longer exists. Start again with all flights.") from None


def _address_of(wanted: FlightFilter, *, cursor: str) -> str:
    day = wanted.departs_on.isoformat() if wanted.departs_on else None
    asked = {"origin": wanted.origin, "destination": wanted.destination, "date": day, "cursor": cursor}
    return f"/?{urlencode({name: value for name, value in asked.items() if value})}"


def _none_of(wanted: FlightFilter, cities: Cities) -> str:
    """Return the title of an empty list, as in "No flights from New York on Tue 24 Nov."."""
    words = [
        f" from {cities.name_of(wanted.origin)}" if wanted.origin else "",
        f" to {cities.name_of(wanted.destination)}" if wanted.destination else "",
        f" on {day_of(wanted.departs_on)}" if wanted.departs_on else "",
    ]
    return f"No flights{''.join(words)}." if any(words) else "No flights are offered at the moment."


def _named(codes: tuple[str, ...], chosen: str | None, cities: Cities) -> list[tuple[str, str]]:
    """Return the codes with their names, by name; also the chosen one, even if no flight goes there now."""
    all_codes = {*codes, *([chosen] if chosen else [])}
    return sorted(((code, cities.name_of(code)) for code in all_codes), key=lambda named: (named[1], named[0]))


@dataclass(frozen=True)
class FreeCabin:
    """The free seats of a cabin: rows with the letters of their free seats; `from_cents` is the lowest price."""

    cabin: CabinView
    rows: tuple[tuple[int, str], ...]
    from_cents: int | None


def _free_seats(cabins: Iterable[CabinView], seats: Iterable[SeatView]) -> list[FreeCabin]:
    free = [seat for seat in seats if seat.status == SeatStatus.AVAILABLE]
    return [_free_in(cabin, [seat for seat in free if seat.cabin == cabin.name]) for cabin in cabins]


def _free_in(cabin: CabinView, free: list[SeatView]) -> FreeCabin:
    rows = tuple((row, ", ".join(seat.column for seat in seats)) for row, seats in groupby(free, lambda seat: seat.row))
    return FreeCabin(cabin, rows, min((seat.price_cents for seat in free), default=None))
