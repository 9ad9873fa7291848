"""Formats of money, instants and durations."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from skyhold.web.pages.words import PlaceTime, day_of, duration, length_of_time, money, spelled_length

WINTER = datetime(2026, 1, 15, 12, tzinfo=UTC)
SUMMER = datetime(2026, 7, 15, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cents", "currency", "written"),
    [
        (35000, "USD", "$350"),
        (183000, "USD", "$1,830"),
        (35050, "USD", "$350.50"),
        (5, "USD", "$0.05"),
        (0, "USD", "$0"),
        (123456700, "EUR", "€1,234,567"),
        (1000, "CHF", "CHF\u00a010"),
    ],
)
def test_whole_amounts_stand_without_cents(cents: int, currency: str, written: str) -> None:
    assert money(cents, currency) == written


@pytest.mark.parametrize(
    ("zone", "winter", "summer"),
    [
        ("America/New_York", "EST", "EDT"),
        ("America/Los_Angeles", "PST", "PDT"),
        ("America/Phoenix", "MST", "MST"),
        ("US/Eastern", "EST", "EDT"),
        ("Pacific/Honolulu", "HST", "HST"),
        ("Europe/London", "GMT", "BST"),
        ("Europe/Berlin", "CET", "CEST"),
        ("Europe/Dublin", "GMT", "GMT+1"),
        ("Australia/Sydney", "AEDT", "AEST"),
        ("Asia/Singapore", "SGT", "SGT"),
        ("Asia/Tokyo", "JST", "JST"),
        ("Asia/Shanghai", "GMT+8", "GMT+8"),
        ("Asia/Manila", "GMT+8", "GMT+8"),
        ("Asia/Kolkata", "GMT+5:30", "GMT+5:30"),
        ("America/St_Johns", "GMT-3:30", "GMT-2:30"),
        ("America/Sao_Paulo", "GMT-3", "GMT-3"),
        ("America/Havana", "GMT-5", "GMT-4"),
        ("Europe/Jersey", "GMT", "GMT+1"),
        ("UTC", "UTC", "UTC"),
    ],
)
def test_a_zone_has_its_short_name_only_if_no_other_has_it_too(zone: str, winter: str, summer: str) -> None:
    assert [PlaceTime.of(instant, zone).zone for instant in (WINTER, SUMMER)] == [winter, summer]


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "\0", "a" * 5000, "<b>"])
def test_a_zone_that_there_is_not_is_told_as_utc(zone: str) -> None:
    there = PlaceTime.of(WINTER, zone)
    assert (there.time, there.zone) == ("12:00", "UTC")


def test_an_instant_is_told_as_clocks_at_the_place_show_it() -> None:
    there = PlaceTime.of(datetime(2026, 11, 27, 15, 35, tzinfo=UTC), "Asia/Singapore")
    assert (there.time, there.day, there.date) == ("23:35", "Fri\u00a027\u00a0Nov", date(2026, 11, 27))
    assert (there.machine, there.sky) == ("2026-11-27T23:35+08:00", "night")


def test_no_line_breaks_a_day_apart() -> None:
    assert day_of(date(2026, 3, 1)) == "Sun\u00a01\u00a0Mar"


@pytest.mark.parametrize(
    ("length", "written"),
    [
        (timedelta(hours=6), "6 h"),
        (timedelta(hours=5, minutes=30), "5 h 30 min"),
        (timedelta(minutes=45), "45 min"),
        (timedelta(seconds=89), "1 min"),
        (timedelta(0), "0 min"),
        (timedelta(hours=26), "26 h"),
    ],
)
def test_a_flight_lasts_hours_and_minutes(length: timedelta, written: str) -> None:
    assert duration(WINTER, WINTER + length) == written


@pytest.mark.parametrize(
    ("seconds", "written", "spelled"),
    [
        (900, "15 minutes", "fifteen minutes"),
        (60, "1 minute", "one minute"),
        (61, "1 minute 1 second", "1 minute 1 second"),
        (150, "2 minutes 30 seconds", "2 minutes 30 seconds"),
        (8, "8 seconds", "8 seconds"),
        (1, "1 second", "1 second"),
        (0, "0 seconds", "0 seconds"),
        (1200, "20 minutes", "twenty minutes"),
        (7200, "120 minutes", "120 minutes"),
    ],
)
def test_lengths_of_time_are_written_in_figures_and_in_words(seconds: float, written: str, spelled: str) -> None:
    assert (length_of_time(seconds), spelled_length(seconds)) == (written, spelled)
