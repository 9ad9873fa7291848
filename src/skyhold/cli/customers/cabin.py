"""The cabin of a flight as text for any size of terminal; each status has a mark of its own, not only a colour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from skyhold.domain.seats import STATUS_WORDS

_MARKS = {"reserved": "~", "booked": "x", "blocked": "-"}
"""A seat that is available is shown by its letter."""

_STYLES = {"available": "bold green", "reserved": "yellow", "booked": "dim", "blocked": "dim"}

LIVE, LOST = "live", "reconnecting"

_GAP = "   "
_CHANGES_TOLD = 6


class LiveCabin:
    """The current seats of one flight; `link` shows whether changes arrive."""

    def __init__(self, flight: Mapping[str, Any]) -> None:
        self.link = "connecting"
        self._flight = flight
        self._cabins: Sequence[Mapping[str, Any]] = flight["seatMap"]["cabins"]
        self._seats: dict[str, Mapping[str, Any]] = {seat["id"]: seat for seat in flight["seatMap"]["seats"]}
        self._rows = sorted({seat["row"] for seat in self._seats.values()})
        self._news = ""

    def apply(self, seats: Iterable[Mapping[str, Any]]) -> None:
        """Apply newer states; of two versions of a seat the higher one is valid."""
        changed = []
        for seat in seats:
            known = self._seats.get(seat["id"])
            if known is not None and seat["version"] > known["version"]:
                self._seats[seat["id"]] = {**known, **seat}
                changed.append(f"{seat['id']} {STATUS_WORDS.get(seat['status'], seat['status'])}")
        if changed:
            more = len(changed) - _CHANGES_TOLD
            self._news = ", ".join(changed[:_CHANGES_TOLD]) + (f" and {more} more" if more > 0 else "")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the largest layout that fits: spaced or dense, in several columns if needed; show the hidden lines."""
        width, height = options.max_width, console.size.height
        around = [line for text in (self._title(), self._legend()) for line in text.wrap(console, width)]
        room = max(1, height - len(around) - 3)
        lines = next((picture for picture in self._pictures(width) if len(picture) <= room), None)
        if lines is None:
            lines = list(self._pictures(width))[-1]
        hidden = len(lines) - room
        yield from around
        yield from (lines if hidden <= 0 else lines[: room - 1])
        if hidden > 0:
            yield Text(f"... {hidden + 1} lines more: make the terminal larger", overflow="ellipsis", no_wrap=True)
        yield Text(
            self._news or "no change yet", style="bold" if self._news else "dim", overflow="ellipsis", no_wrap=True
        )
        yield Text(self.link, style="green" if self.link == LIVE else "yellow")

    def _title(self) -> Text:
        flight = self._flight
        count = Counter(seat["status"] for seat in self._seats.values())
        leaves_at = datetime.fromisoformat(flight["departureTime"]).astimezone(ZoneInfo(flight["departureZone"]))
        title = Text(f"{flight['flightNumber']} {flight['origin']}-{flight['destination']}", style="bold")
        title.append(f"  leaves {leaves_at:%Y-%m-%d %H:%M}", style="not bold")
        return title.append(f"  {count['available']} of {len(self._seats)} seats available", style="not bold")

    def _legend(self) -> Text:
        there = {seat["status"] for seat in self._seats.values()}
        legend = Text()
        for status, word in STATUS_WORDS.items():
            if status in there or status == "available":
                legend.append(_MARKS.get(status, "A"), style=_STYLES[status]).append(f" {word}  ")
        if any(cabin["exitRows"] for cabin in self._cabins):
            legend.append("> exit row")
        legend.rstrip()
        return legend

    def _pictures(self, width: int) -> Iterator[list[Text]]:
        """Yield layouts in a rising number of columns as long as they fit, first spaced, then dense."""
        for space in (" ", ""):
            lines = [line for cabin in self._cabins for line in self._lines_of(cabin, space)]
            strip = max((line.cell_len for line in lines), default=0)
            for columns in range(1, max(1, (width + len(_GAP)) // (strip + len(_GAP))) + 1):
                yield _side_by_side(lines, columns, strip)

    def _lines_of(self, cabin: Mapping[str, Any], space: str) -> Iterator[Text]:
        yield Text(str(cabin["name"]), style="bold")
        yield Text("   " + space.join(cabin["layout"]), style="dim")
        for row in self._rows:
            if cabin["firstRow"] <= row <= cabin["lastRow"]:
                line = Text(f"{row:>2}{'>' if row in cabin['exitRows'] else ' '}")
                for place, letter in enumerate(cabin["layout"]):
                    seat = self._seats.get(f"{row}{letter}")
                    line.append(space if place else "")
                    line.append(_mark_of(seat), style=_STYLES.get(seat["status"]) if seat else None)
                yield line


def _mark_of(seat: Mapping[str, Any] | None) -> str:
    return _MARKS.get(seat["status"], str(seat["column"])) if seat else " "


def _side_by_side(lines: Sequence[Text], columns: int, strip: int) -> list[Text]:
    """Return the lines broken into columns of equal height."""
    height = -(-len(lines) // columns)
    rows = []
    for top in range(height):
        row = Text(no_wrap=True)
        for line in lines[top::height]:
            row.append_text(line).append(" " * (strip - line.cell_len) + _GAP)
        row.rstrip()
        rows.append(row)
    return rows
