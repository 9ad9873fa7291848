"""The geometry of a flight's seats: the place of each, its neighbours, and the free seats.

Built once from a seat map and queried many times. A set of seats is a number with one bit per seat, so one comparison
shows whether a whole set is free.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from skyhold.domain.seats import SeatStatus

SEAT_STEP = 2
ROW_STEP = 3 * SEAT_STEP
"""One row away is as far as three seats away in the same row, an aisle counting as a seat."""


class PlacedSeat(NamedTuple):
    """A seat and its row, letter and cabin."""

    id: str
    row: int
    letter: str
    cabin: str
    status: SeatStatus
    price_cents: int
    is_exit_row: bool = False


class CabinLayout(NamedTuple):
    """A cabin's rows and its letters from left to right, with a gap for each aisle."""

    name: str
    first_row: int
    last_row: int
    layout: str


class Place(NamedTuple):
    """A seat's place: `x` from the middle of the aircraft, `y` from the nose, `order` among the letters of its row.

    `kind` has a w at a window and an a at an aisle; m is in the middle.
    """

    seat: PlacedSeat
    section: int
    order: int
    x: int
    y: int
    kind: str


class Block(NamedTuple):
    """Neighbours in one row; `x` and `y` are sums over the seats; of two equal blocks the lower `rank` is chosen.

    `alone` counts people without a neighbour of the block on their side of the aisle. `ends` has the seat beside each
    end and the one beyond it, as masks, where they are on the same side of the aisle.
    """

    mask: int
    has_aisle: bool
    x: int
    y: int
    price_cents: int
    kinds: str
    rank: int
    alone: int
    ends: tuple[tuple[int, int], ...]


class SeatPlan:
    """A snapshot of the seats of one flight; a section is a cabin's rows."""

    def __init__(self, seats: Iterable[PlacedSeat], cabins: Sequence[CabinLayout]) -> None:
        self.places = _places_of(seats, cabins)
        self.numbers = {place.seat.id: number for number, place in enumerate(self.places)}
        self.cabin_of = {place.section: place.seat.cabin for place in self.places}
        self.free = mask_of(
            number for number, place in enumerate(self.places) if place.seat.status == SeatStatus.AVAILABLE
        )
        self.everywhere = (1 << len(self.places)) - 1
        self.beside, self.around = _links_of(self.places)
        self._blocks: dict[tuple[int, int], list[Block]] = {}

    def mask_named(self, names: Iterable[str]) -> int:
        """Return the set of the seats with these names; unknown names are ignored."""
        return mask_of(self.numbers[name] for name in names if name in self.numbers)

    def numbers_in(self, section: int) -> Iterator[int]:
        """Yield the seats of a section."""
        return (number for number, place in enumerate(self.places) if place.section == section)

    def blocks(self, section: int, count: int) -> list[Block]:
        """Return every run of `count` neighbours in one row, free or not."""
        if (section, count) not in self._blocks:
            self._blocks[section, count] = list(self._find_blocks(section, count))
        return self._blocks[section, count]

    def matching(self, *, is_exit_row: bool, prices: Collection[int], kinds: Collection[str]) -> int:
        """Return the seats in exit rows if wanted, at one of the prices and of one of the kinds, if there are any."""
        return mask_of(
            number
            for number, place in enumerate(self.places)
            if (place.seat.is_exit_row or not is_exit_row)
            and (not prices or place.seat.price_cents in prices)
            and (not kinds or any(kind in place.kind for kind in kinds))
        )

    def are_together(self, numbers: Sequence[int]) -> bool:
        """Return whether the seats are connected: each beside, before or behind another of them."""
        rest, reached = set(numbers[1:]), [numbers[0]]
        while reached and rest:
            near = rest.intersection(self.around[reached.pop()])
            rest -= near
            reached.extend(near)
        return not rest

    def _find_blocks(self, section: int, count: int) -> Iterator[Block]:
        # From tail to nose and right to left: of two that are equally near, the one further back comes first.
        starts = reversed(list(self.numbers_in(section)))
        for rank, start in enumerate(starts):
            run = range(start, start + count)
            if all(number + 1 in self.beside[number] for number in run[:-1]):
                places = [self.places[number] for number in run]
                x = [place.x for place in places]
                yield Block(
                    mask_of(run),
                    has_aisle=x[-1] - x[0] > (count - 1) * SEAT_STEP,
                    x=sum(x),
                    y=places[0].y * count,
                    price_cents=sum(place.seat.price_cents for place in places),
                    kinds=kinds_of(places),
                    rank=rank,
                    alone=_alone(x),
                    ends=tuple(self._ends_of(run)),
                )

    def _ends_of(self, run: range) -> Iterator[tuple[int, int]]:
        for end, step in ((run[0], -1), (run[-1], 1)):
            if self._is_side(end, step):
                beside = end + step
                yield 1 << beside, 1 << beside + step if self._is_side(beside, step) else 0

    def _is_side(self, number: int, step: int) -> bool:
        """Return whether there is a next seat in this direction, on the same side of the aisle."""
        near = number + step
        return near in self.beside[number] and abs(self.places[near].x - self.places[number].x) == SEAT_STEP


def mask_of(numbers: Iterable[int]) -> int:
    """Return the set of these seats."""
    mask = 0
    for number in numbers:
        mask |= 1 << number
    return mask


def members_of(mask: int) -> list[int]:
    """Return the seats of a set, from nose to tail and left to right."""
    members = []
    while mask:
        lowest = mask & -mask
        members.append(lowest.bit_length() - 1)
        mask ^= lowest
    return members


def kinds_of(places: Iterable[Place]) -> str:
    """Return the kinds of these seats, in a form that can be compared."""
    return "".join(sorted(place.kind for place in places))


def _alone(x: Sequence[int]) -> int:
    """Return how many of the seats at these positions of a row have no neighbour without an aisle between."""
    near = [False, *(right - left == SEAT_STEP for left, right in pairwise(x)), False]
    return sum(not (left or right) for left, right in pairwise(near))


def _places_of(seats: Iterable[PlacedSeat], cabins: Sequence[CabinLayout]) -> list[Place]:
    """Return the places of the seats, from nose to tail and left to right; a seat in no layout is left out."""
    spots = {
        (row, letter): (section, order, x, kind)
        for section, cabin in enumerate(cabins)
        for letter, (order, x, kind) in _columns_of(cabin.layout).items()
        for row in range(cabin.first_row, cabin.last_row + 1)
    }
    known = [(seat, *spots[seat.row, seat.letter]) for seat in seats if (seat.row, seat.letter) in spots]
    depth = {row: y * ROW_STEP for y, row in enumerate(sorted({seat.row for seat, *_ in known}))}
    places = [Place(seat, section, order, x, depth[seat.row], kind) for seat, section, order, x, kind in known]
    return sorted(places, key=lambda place: (place.y, place.order))


def _columns_of(layout: str) -> dict[str, tuple[int, int, str]]:
    """Return for each letter its order, its distance from the middle, and its kind."""
    last = len(layout) - 1
    columns: dict[str, tuple[int, int, str]] = {}
    for index, letter in enumerate(layout):
        if letter != " ":
            is_at_aisle = " " in layout[max(0, index - 1) : index + 2]
            kind = ("w" * (index in {0, last}) + "a" * is_at_aisle) or "m"
            columns[letter] = (len(columns), SEAT_STEP * index - last, kind)
    return columns


def _links_of(places: Sequence[Place]) -> tuple[list[list[int]], list[list[int]]]:
    """Return for each seat those beside it (across an aisle too), and those beside, before and behind it."""
    spots = {(place.section, place.y, place.order): number for number, place in enumerate(places)}
    beside, around = [], []
    for section, y, order in spots:
        sides = [spots.get((section, y, order + step)) for step in (-1, 1)]
        ends = [spots.get((section, y + step, order)) for step in (-ROW_STEP, ROW_STEP)]
        beside.append([number for number in sides if number is not None])
        around.append([number for number in (*sides, *ends) if number is not None])
    return beside, around
