"""What narrows a list of flights, as the API and the page of flights read it: airports and days."""

from __future__ import annotations

from datetime import date

AIRPORT_PATTERN = "[A-Za-z]{3}"


def parse_day(text: str) -> date:
    """Return the day of a full date as RFC 3339 writes it, `2026-11-24`.

    Raises:
        ValueError: it is written in another way, as `date.fromisoformat` would take it, or there is no such day.
    """
    day = date.fromisoformat(text)
    if day.isoformat() != text:
        raise ValueError("not a full date")
    return day
