"""A flight rendered as text."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from skyhold.queries.flights import FlightView
from skyhold.web.pages.cities import Cities
from skyhold.web.pages.legs import Leg

NOON = datetime(2026, 11, 24, 17, tzinfo=UTC)
FLIGHT = FlightView(
    id="550e8400-e29b-41d4-a716-446655440001",
    flight_number="FL101",
    origin="NYC",
    destination="LAX",
    departs_at=NOON,
    departure_zone="America/New_York",
    arrives_at=NOON + timedelta(hours=6),
    arrival_zone="America/Los_Angeles",
    total_seats=120,
    available_seats=51,
    price_cents=35000,
    currency="USD",
)


def _leg(**changes: object) -> Leg:
    return Leg.of(replace(FLIGHT, **changes), Cities())  # type: ignore[arg-type]


def test_a_flight_that_arrives_on_its_day_does_not_say_which() -> None:
    leg = _leg()
    assert (leg.departs.time, leg.arrives.time, leg.lasts, leg.arrival_day) == ("12:00", "15:00", "6 h", "")
    assert _leg(arrives_at=NOON + timedelta(hours=15)).arrival_day == "Wed\u00a025\u00a0Nov"


def test_a_flight_over_the_date_line_may_arrive_the_day_before() -> None:
    leg = _leg(departure_zone="Asia/Tokyo", arrival_zone="America/Los_Angeles")
    assert (leg.departs.day, leg.arrival_day) == ("Wed\u00a025\u00a0Nov", "Tue\u00a024\u00a0Nov")


@pytest.mark.parametrize(
    ("left", "said", "hint", "percent"),
    [
        (120, "120 of 120", "seats left", 100),
        (51, "51 of 120", "seats left", 43),
        (13, "13 of 120", "seats left", 11),
        (12, "12 of 120", "seats left, filling up", 10),
        (1, "1 of 120", "seats left, filling up", 1),
        (0, "Sold out", "seats on hold may come back", 0),
    ],
)
def test_what_is_left_is_told_and_that_it_will_not_be_long(left: int, said: str, hint: str, percent: int) -> None:
    leg = _leg(available_seats=left)
    assert (leg.left_words, leg.left_hint, leg.percent_left) == (said, hint, percent)


def test_a_flight_without_any_seats_is_sold_out() -> None:
    leg = _leg(total_seats=0, available_seats=0)
    assert (leg.is_sold_out, leg.percent_left) == (True, 0)


async def test_cities_have_names_once_they_are_loaded_and_codes_stay_what_they_are() -> None:
    cities = Cities()
    assert cities.name_of("NYC") == "NYC"
    await cities.load()
    await cities.load()
    names = {
        "NYC": "New York",
        "CHI": "Chicago",
        "LAX": "Los Angeles",
        "SIN": "Singapore",
        "LHR": "London",
        "ZZZ": "ZZZ",
    }
    assert {code: cities.name_of(code) for code in names} == names
    assert Leg.of(FLIGHT, cities).origin_city == "New York"
