"""Filters of a list of flights, shared by the API and the flights page: airports and days."""

from __future__ import annotations

from datetime import date

AIRPORT_PATTERN = "[A-Za-z]{3}"


def parse_day(text: str) -> date:
    """Return the day of a full date as RFC 3339 writes it, `2026-11-24`.

    Raises:
        ValueError: it has another form, even one that `date.fromisoformat` accepts, or there is no such day.
    """
    day = date.fromisoformat(text)
    if day.isoformat() != text:
        raise ValueError("not a full date")
    return day
