"""The search for seats that are good together: suggestions, and alternatives to seats that are no longer available.

They are hints, computed from a seat plan that may be a moment old: the ledger decides which order gets which seats.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from skyhold.domain.seat_plans import ROW_STEP, Block, Place, SeatPlan, kinds_of, mask_of, members_of
from skyhold.domain.seats import sort_seats

ALTERNATIVES_LIMIT = 3
SUGGESTIONS_LIMIT = 5

PARTY_LIMIT = 9
"""Suggestions are for at most this number of people."""

GROUP_LIMIT = 20
"""No alternatives are searched for more seats than this: no order has so many unless an operator allows it."""

_SEEDS_LIMIT = 12
"""Maximum number of seats from which a group over several rows is grown."""

_NO_WINDOW = ROW_STEP
_SEAT_LEFT_ALONE = 3 * ROW_STEP // 2
_PERSON_ALONE = 5 * ROW_STEP
_SINGLE = {"m": 3 * ROW_STEP, "a": ROW_STEP // 2}
"""Discomforts, as bad as seats so much further back; the last are those of one person who is not at a window."""


@dataclass(frozen=True)
class Alternative:
    """As many seats as requested, sorted, all of them free, and their total price."""

    seats: tuple[str, ...]
    total_cents: int


class _Search(NamedTuple):
    """The number of seats, those that are free for the order, and where they should be: sums over the seats.

    If the place was chosen by the customer (`is_placed`), nearness to it counts for more than comfort.
    """

    size: int
    available: int
    x: int
    y: int
    price_cents: int
    prices: frozenset[int]
    kinds: str
    is_placed: bool

    @classmethod
    def around(cls, places: Sequence[Place], available: int, *, is_placed: bool = True) -> _Search:
        """Return the search for seats like these."""
        prices = [place.seat.price_cents for place in places]
        return cls(
            size=len(places),
            available=available,
            x=sum(place.x for place in places),
            y=sum(place.y for place in places),
            price_cents=sum(prices),
            prices=frozenset(prices),
            kinds=kinds_of(places),
            is_placed=is_placed,
        )


class _Request(NamedTuple):
    """The requested seats, and those of them that are still free."""

    numbers: tuple[int, ...]
    kept: int

    @property
    def gone(self) -> list[int]:
        """The requested seats that another order has."""
        return [number for number in self.numbers if not self.kept >> number & 1]


def find_alternatives(
    plan: SeatPlan,
    wanted: Collection[str],
    *,
    own: Mapping[str, int] = MappingProxyType({}),
    conflicts: Collection[str] = (),
) -> tuple[Alternative, ...]:
    """Return the alternatives, the best first; an empty tuple if there are none.

    `own` are the seats that the requesting order holds, with their prices in cents: free for it, at the price it has
    them for, but exactly this set is not an alternative. `conflicts` are the wanted seats that were just found taken.
    If there are any, the other wanted ones were just found free: that is newer than the plan.

    First the sets that keep the wanted seats still free and sit together; then neighbours in one row of the same
    cabin, best without an aisle between them; then groups over neighbouring rows; then other cabins. Each time the
    same price goes first, then the nearest place, then the same kinds of seats. If no group can sit together any more,
    each lost seat is replaced by the nearest free one.
    """
    if not 0 < len(wanted) <= GROUP_LIMIT or any(name not in plan.numbers for name in wanted):
        return ()
    numbers = tuple(sorted(plan.numbers[name] for name in wanted))
    asked, taken = mask_of(numbers), plan.mask_named(conflicts)
    known_free = plan.mask_named(own) | (asked if taken else 0)
    available = (plan.free | known_free) & ~taken
    search = _Search.around([plan.places[number] for number in numbers], available)
    request = _Request(numbers, asked & available)
    refused = {asked, plan.mask_named(own)}
    found: dict[int, None] = {}
    for mask in _alternatives(plan, search, request):
        if mask not in refused:
            found[mask] = None
        if len(found) == ALTERNATIVES_LIMIT:
            break
    if not found:
        scattered = _replaced_one_by_one(plan, search, request)
        found = {} if scattered is None or scattered in refused else {scattered: None}
    return tuple(_alternative_of(plan, mask, own) for mask in found)


def find_suggestions(
    plan: SeatPlan,
    count: int,
    *,
    near: str | None = None,
    own: Mapping[str, int] = MappingProxyType({}),
    among: int | None = None,
) -> tuple[Alternative, ...]:
    """Return sets of `count` free seats for people who want to sit together, the best first, no seat in two of them.

    `own` are the seats that the requesting order holds, with their prices in cents: free for it. `among` restricts the
    choice to these seats of the plan. `near` is a seat of the plan: groups of its price and closest to it go first.
    Without it the cheapest cabin goes first, in it the cheapest seats, then those in front, at a window, with no person
    alone across an aisle and no single free seat left over.

    In each cabin neighbours in one row come before groups over neighbouring rows, and if there are neither, the seats
    closest to each other. Empty if there are not enough free seats.
    """
    available = (plan.free | plan.mask_named(own)) & (plan.everywhere if among is None else among)
    found: list[int] = []
    taken = 0
    for mask in _suggestions(plan, count, available, plan.numbers[near] if near is not None else None):
        if not mask & taken:
            found.append(mask)
            taken |= mask
        if len(found) == SUGGESTIONS_LIMIT:
            break
    return tuple(_alternative_of(plan, mask, own) for mask in found)


def _suggestions(plan: SeatPlan, count: int, available: int, near: int | None) -> Iterator[int]:
    sections = _cheapest_first(plan, available) if near is None else _sections_from(plan, plan.places[near].section)
    is_found = False
    for section in sections:
        free = [number for number in plan.numbers_in(section) if available >> number & 1]
        if len(free) < count:
            continue
        like = min(free, key=lambda number: _price(plan, number)) if near is None else near
        search = _Search.around([plan.places[like]] * count, available, is_placed=near is not None)
        groups = list(_together(plan, search, section)) or [_closest(plan, search, free)]
        yield from groups
        is_found = True
    free = members_of(available)
    if not is_found and len(free) >= count:
        like = min(free, key=lambda number: _price(plan, number)) if near is None else near
        yield _closest(plan, _Search.around([plan.places[like]] * count, available), free)


def _price(plan: SeatPlan, number: int) -> int:
    return plan.places[number].seat.price_cents


def _cheapest_first(plan: SeatPlan, available: int) -> list[int]:
    prices: dict[int, int] = {}
    for number in members_of(available):
        section = plan.places[number].section
        prices[section] = min(prices.get(section, _price(plan, number)), _price(plan, number))
    return sorted(prices, key=lambda section: (prices[section], -section))


def _closest(plan: SeatPlan, search: _Search, free: Iterable[int]) -> int:
    """Return the seats that are closest to each other, wherever they are."""
    by_place = sorted(free, key=functools.partial(_seed_preference, plan, search))

    def knot(seed: int) -> list[int]:
        return sorted(by_place, key=lambda number: _distance(plan, seed, number))[: search.size]

    def spread(numbers: Sequence[int]) -> int:
        return sum(_distance(plan, numbers[0], number) for number in numbers)

    closest: Sequence[int] = min(map(knot, by_place[: 4 * _SEEDS_LIMIT]), key=spread)
    return mask_of(closest)


def _alternatives(plan: SeatPlan, search: _Search, request: _Request) -> Iterator[int]:
    if search.size > 1 and request.kept and request.gone:
        yield from _repaired(plan, search, request)
    for section in _sections_from(plan, plan.places[request.numbers[0]].section):
        yield from _together(plan, search, section)


def _together(plan: SeatPlan, search: _Search, section: int) -> Iterator[int]:
    yield from _in_one_row(plan, search, section)
    if search.size > 1:
        yield from _over_rows(plan, search, section)


def _repaired(plan: SeatPlan, search: _Search, request: _Request) -> Iterator[int]:
    """Yield the sets that keep the seats still free and replace only the lost ones, by seats next to the rest."""
    if not plan.are_together(request.numbers):
        if mask := _replaced_one_by_one(plan, search, request):
            yield mask
        return
    is_one_row = len({plan.places[number].y for number in request.numbers}) == 1
    links = plan.beside if is_one_row else plan.around
    kept, gap = members_of(request.kept), request.gone[0]
    nearest = sorted(_edge(search, kept, links), key=functools.partial(_preference, plan, gap))
    for first in nearest[:ALTERNATIVES_LIMIT]:
        grown = _grown(plan, search, [*kept, first], links, gap)
        if grown and plan.are_together(grown):
            yield mask_of(grown)


def _sections_from(plan: SeatPlan, home: int) -> list[int]:
    """Return the sections: `home`, those of the same cabin, then the others, each group nearest first."""
    cabin_of = plan.cabin_of
    return sorted(cabin_of, key=lambda section: (cabin_of[section] != cabin_of[home], abs(section - home), section))


def _in_one_row(plan: SeatPlan, search: _Search, section: int) -> list[int]:
    """Return the free blocks of the section, the best first. They are many, so each is ranked by one plain tuple."""
    size, available, x, y, price_cents, _, kinds, is_placed = search
    free = [block for block in plan.blocks(section, size) if block.mask & available == block.mask]
    ranked: list[tuple[int, ...]]
    if is_placed:
        ranked = [
            (
                block.has_aisle << 1 | (block.price_cents != price_cents),
                abs(block.x - x) + abs(block.y - y),
                block.kinds != kinds,
                block.rank,
                block.mask,
            )
            for block in free
        ]
    else:
        ranked = [
            (
                block.has_aisle,
                block.price_cents,
                block.y // size + _discomfort(search, block),
                -block.rank,
                block.mask,
            )
            for block in free
        ]
    ranked.sort()
    return [mask for *_, mask in ranked]


def _discomfort(search: _Search, block: Block) -> int:
    if search.size == 1:
        return _SINGLE.get(block.kinds, 0)
    free = search.available
    left_alone = sum(bool(free & beside) and not free & beyond for beside, beyond in block.ends)
    has_window = "w" in block.kinds
    return (not has_window) * _NO_WINDOW + block.alone * _PERSON_ALONE + left_alone * _SEAT_LEFT_ALONE


def _over_rows(plan: SeatPlan, search: _Search, section: int) -> Iterator[int]:
    """Yield groups that grow from the free seats nearest to the requested place, over neighbouring rows."""
    seeds = [number for number in plan.numbers_in(section) if search.available >> number & 1]
    for seed in sorted(seeds, key=functools.partial(_seed_preference, plan, search))[:_SEEDS_LIMIT]:
        if grown := _grown(plan, search, [seed], plan.around, seed):
            yield mask_of(grown)


def _seed_preference(plan: SeatPlan, search: _Search, seed: int) -> tuple[bool, int, int]:
    place = plan.places[seed]
    distance = abs(search.size * place.x - search.x) + abs(search.size * place.y - search.y)
    return place.seat.price_cents not in search.prices, distance, -seed


def _grown(
    plan: SeatPlan, search: _Search, start: list[int], links: Sequence[Sequence[int]], towards: int
) -> list[int] | None:
    """Return `start` grown by the free neighbours nearest to `towards` until there are enough seats, or None."""
    members = list(start)
    while len(members) < search.size:
        edge = _edge(search, members, links)
        if not edge:
            return None
        members.append(min(edge, key=functools.partial(_preference, plan, towards)))
    return members


def _edge(search: _Search, members: Sequence[int], links: Sequence[Sequence[int]]) -> set[int]:
    """Return the free seats next to the members."""
    free = {near for member in members for near in links[member] if search.available >> near & 1}
    return free.difference(members)


def _replaced_one_by_one(plan: SeatPlan, search: _Search, request: _Request) -> int | None:
    """Return the requested seats still free, each lost one replaced by the nearest free seat, or None."""
    chosen = request.kept
    for gone in request.gone:
        free = members_of(search.available & ~chosen)
        if not free:
            return None
        chosen |= 1 << min(free, key=functools.partial(_preference, plan, gone))
    return chosen


def _preference(plan: SeatPlan, wanted: int, other: int) -> tuple[bool, bool, int, bool, int]:
    """Return the sort key of a seat that could replace the wanted one; the lowest is the best."""
    here, there = plan.places[wanted], plan.places[other]
    return (
        here.seat.cabin != there.seat.cabin,
        here.seat.price_cents != there.seat.price_cents,
        _distance(plan, wanted, other),
        here.kind != there.kind,
        -other,
    )


def _distance(plan: SeatPlan, one: int, other: int) -> int:
    here, there = plan.places[one], plan.places[other]
    return abs(here.x - there.x) + abs(here.y - there.y)


def _alternative_of(plan: SeatPlan, mask: int, own: Mapping[str, int]) -> Alternative:
    seats = [plan.places[number].seat for number in members_of(mask)]
    return Alternative(sort_seats(seat.id for seat in seats), sum(own.get(seat.id, seat.price_cents) for seat in seats))
