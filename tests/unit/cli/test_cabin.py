"""The cabin as text, on terminals of all sizes."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from skyhold.cli.customers.cabin import LIVE, LiveCabin


def a_flight(*cabins: tuple[str, int, int, str], **statuses: str) -> dict[str, Any]:
    """A flight with these cabins; seats are available unless their status is given, as _12A="booked"."""
    return {
        "flightNumber": "FL101",
        "origin": "NYC",
        "destination": "LAX",
        "departureTime": "2026-03-01T12:00:00.000Z",
        "departureZone": "America/New_York",
        "seatMap": {
            "cabins": [
                {"name": name, "firstRow": first, "lastRow": last, "layout": layout, "exitRows": [10]}
                for name, first, last, layout in cabins
            ],
            "seats": [
                {
                    "id": f"{row}{letter}",
                    "row": row,
                    "column": letter,
                    "status": statuses.get(f"_{row}{letter}", "available"),
                    "version": 1,
                }
                for _, first, last, layout in cabins
                for row in range(first, last + 1)
                for letter in layout.replace(" ", "")
            ],
        },
    }


NARROW = ("economy", 1, 20, "ABC DEF")
WIDE = (("first", 1, 2, "A DG K"), ("business", 6, 14, "A DG K"), ("economy", 20, 48, "ABC DEF HJK"))


def drawn(cabin: LiveCabin, width: int = 80, height: int = 50) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None, force_terminal=False)
    console.print(cabin)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_every_state_of_a_seat_has_a_mark_of_its_own_and_the_legend_explains_it() -> None:
    lines = drawn(LiveCabin(a_flight(("economy", 9, 11, "ABC DEF"), _9B="reserved", _9C="booked", _9D="blocked")))
    assert lines == [
        "FL101 NYC-LAX  leaves 2026-03-01 07:00  15 of 18 seats available",
        "A available  ~ on hold  x taken  - not for sale  > exit row",
        "economy",
        "   A B C   D E F",
        " 9 A ~ x   - E F",
        "10>A B C   D E F",
        "11 A B C   D E F",
        "no change yet",
        "connecting",
    ]


def test_what_is_not_there_is_not_explained() -> None:
    assert drawn(LiveCabin(a_flight(("economy", 1, 1, "AB"))))[1] == "A available  > exit row"


def test_only_newer_news_of_a_seat_counts_and_a_stranger_none() -> None:
    cabin = LiveCabin(a_flight(("economy", 1, 1, "ABC")))
    cabin.link = LIVE
    cabin.apply([{"id": "1A", "status": "booked", "version": 3}, {"id": "99K", "status": "booked", "version": 9}])
    cabin.apply([{"id": "1A", "status": "available", "version": 2}, {"id": "1A", "status": "reserved", "version": 3}])
    assert drawn(cabin)[3:] == ["   A B C", " 1 x B C", "1A taken", "live"]


def test_many_changes_at_once_are_told_shortly() -> None:
    cabin = LiveCabin(a_flight(NARROW))
    cabin.apply([{"id": f"{row}A", "status": "reserved", "version": 2} for row in range(1, 10)])
    assert drawn(cabin, 200)[-2] == ", ".join(f"{row}A on hold" for row in range(1, 7)) + " and 3 more"


def test_a_small_terminal_has_the_rows_side_by_side() -> None:
    lines = drawn(LiveCabin(a_flight(NARROW)), height=24)
    assert "10>A B C   D E F" in next(line for line in lines if line.startswith("economy"))
    assert len(lines) < 24


@pytest.mark.parametrize("width", [80, 100, 200])
def test_a_wide_body_fits_a_terminal_of_24_lines(width: int) -> None:
    lines = drawn(LiveCabin(a_flight(*WIDE)), width, 24)
    assert len(lines) < 24
    assert all(len(line) <= width for line in lines)
    text = " ".join(" ".join(lines).split())
    assert all(f" {row} A" in text or f"{row}>A" in text for row in (*range(1, 3), *range(6, 15), *range(20, 49)))


@pytest.mark.parametrize("size", [(30, 24), (20, 12), (14, 10), (10, 60), (3, 3)])
def test_whatever_the_terminal_nothing_breaks_and_what_is_left_out_is_said(size: tuple[int, int]) -> None:
    lines = drawn(LiveCabin(a_flight(*WIDE)), *size)
    assert all(len(line) <= size[0] for line in lines)
    if size[1] < 50 and size[0] >= 14:
        assert any(line.startswith("... ") for line in lines)
