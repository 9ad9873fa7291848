"""Format money, instants and lengths of time for the pages, as `static/words.js` does in browsers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "AUD": "A$", "CAD": "CA$"}

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_SPELLED = (
    *("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)

_AMERICAN = re.compile("[ECMPA][SD]T|AK[SD]T|HST")
_EUROPEAN = re.compile("GMT|BST|WES?T|CES?T|EES?T")
_AUSTRALASIAN = re.compile("A[CE][SD]T|AWST|NZ[SD]T")

_NAMED = {
    "America": _AMERICAN,
    "Canada": _AMERICAN,
    "US": _AMERICAN,
    "Atlantic": re.compile(f"{_AMERICAN.pattern}|{_EUROPEAN.pattern}"),
    "Europe": _EUROPEAN,
    "Africa": _EUROPEAN,
    "Arctic": _EUROPEAN,
    "Asia": _EUROPEAN,
    "Australia": _AUSTRALASIAN,
    "Antarctica": _AUSTRALASIAN,
    "Pacific": re.compile(f"HST|{_AUSTRALASIAN.pattern}"),
}
"""Short names that are clear in these regions only: CST is also China's, IST that of three countries."""

_UNNAMED = frozenset(
    f"America/{city}" for city in ("Adak", "Atka", "Dawson", "Havana", "Hermosillo", "Mazatlan", "Whitehorse")
) | frozenset(f"Europe/{island}" for island in ("Guernsey", "Isle_of_Man", "Jersey"))
"""Zones that browsers have no short name for, whatever the time zone data say."""

_ONE_NAME = {
    "Asia/Dubai": "GST",
    "Asia/Hong_Kong": "HKT",
    "Asia/Seoul": "KST",
    "Asia/Singapore": "SGT",
    "Asia/Tokyo": "JST",
}
"""Zones with a well-known name that the time zone data or browsers leave out; the same in words.js."""

_NIGHT_ENDS, _DAY_BEGINS, _DAY_ENDS, _NIGHT_BEGINS = 5, 8, 17, 20


@dataclass(frozen=True)
class PlaceTime:
    """An instant as clocks at a place show it: "09:00", "EST", "Tue 24 Nov"."""

    time: str
    zone: str
    day: str
    date: date
    sky: str
    machine: str
    """For `<time datetime>`: local, with the offset."""

    @classmethod
    def of(cls, instant: datetime, zone: str) -> PlaceTime:
        """Return the instant in this IANA zone; in UTC, and labelled so, if the zone is unknown."""
        local = instant.astimezone(_zone(zone))
        machine = local.isoformat(timespec="minutes")
        day = local.date()
        return cls(f"{local:%H:%M}", _zone_name(local, zone), day_of(day), day, _sky(local.hour), machine)


def money(cents: int, currency: str) -> str:
    """Return "$350", "$1,830" or "$350.50": whole amounts stand without cents."""
    amount = f"{cents / 100:,.2f}".removesuffix(".00")
    symbol = _SYMBOLS.get(currency, f"{currency}\N{NO-BREAK SPACE}")
    return f"{symbol}{amount}"


def day_of(day: date) -> str:
    """Return "Tue 24 Nov", with no-break spaces."""
    return "\N{NO-BREAK SPACE}".join((_WEEKDAYS[day.weekday()], str(day.day), _MONTHS[day.month - 1]))


def duration(start: datetime, end: datetime) -> str:
    """Return "6 h", "5 h 30 min" or "45 min"."""
    hours, minutes = divmod(round((end - start).total_seconds() / 60), 60)
    return " ".join([f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(minutes)) or "0 min"


def length_of_time(seconds: float) -> str:
    """Return "15 minutes", "2 minutes 30 seconds" or "5 seconds"."""
    minutes, rest = divmod(round(seconds), 60)
    parts = [count(minutes, "minute")] * bool(minutes) + [count(rest, "second")] * bool(rest)
    return " ".join(parts) or count(0, "second")


def spelled_length(seconds: float) -> str:
    """Return "fifteen minutes", or "2 minutes 30 seconds": whole minutes in words, as in running text."""
    minutes, rest = divmod(round(seconds), 60)
    if rest or minutes not in range(1, len(_SPELLED)):
        return length_of_time(seconds)
    return f"{_SPELLED[minutes]} minute{'' if minutes == 1 else 's'}"


def count(number: int, noun: str) -> str:
    """Return "1 seat" or "2 seats"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def _zone_name(local: datetime, zone: str) -> str:
    if name := _ONE_NAME.get(zone):
        return name
    name, named = local.tzname() or "", _NAMED.get(zone.partition("/")[0])
    is_clear = name == "UTC" or (named is not None and named.fullmatch(name) and zone not in _UNNAMED)
    return name if is_clear else _offset(local)


def _offset(local: datetime) -> str:
    """Return "GMT+8" or "GMT-3:30"."""
    offset = local.utcoffset()
    minutes = round(offset.total_seconds() / 60) if offset else 0
    if not minutes:
        return "GMT"
    hours, rest = divmod(abs(minutes), 60)
    return f"GMT{'+' if minutes > 0 else '-'}{hours}" + (f":{rest:02}" if rest else "")


def _sky(hour: int) -> str:
    """Return the sky that a window shows at this hour."""
    if _DAY_BEGINS <= hour < _DAY_ENDS:
        return "day"
    if _NIGHT_ENDS <= hour < _DAY_BEGINS:
        return "dawn"
    return "dusk" if _DAY_ENDS <= hour < _NIGHT_BEGINS else "night"
