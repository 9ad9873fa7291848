"""Alternatives to seats that are no longer available: whole sets of seats, the nearest first.

They are hints, computed from a seat plan that may be a moment old: the ledger decides which order gets which seats.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from skyhold.domain.seat_plans import SeatPlan, kinds_of, mask_of, members_of
from skyhold.domain.seats import sort_seats

ALTERNATIVES_LIMIT = 3

GROUP_LIMIT = 20
"""No alternatives are searched for more seats than this: no order has so many unless an operator allows it."""

_SEEDS_LIMIT = 12
"""Maximum number of seats from which a group over several rows is grown."""


@dataclass(frozen=True)
class Alternative:
    """As many seats as requested, sorted, all of them free, and their total price."""

    seats: tuple[str, ...]
    total_cents: int


class _SeatSearch(NamedTuple):
    """The requested seats and the seats that are free for the order; `kept` are the requested ones still free."""

    numbers: tuple[int, ...]
    available: int
    kept: int
    x: int
    y: int
    price_cents: int
    kinds: str

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
    search = _search_of(plan, wanted, own, conflicts)
    refused = {mask_of(search.numbers), plan.mask_named(own)}
    found: dict[int, None] = {}
    for mask in _candidates(plan, search):
        if mask not in refused:
            found[mask] = None
        if len(found) == ALTERNATIVES_LIMIT:
            break
    if not found:
        scattered = _replaced_one_by_one(plan, search)
        found = {} if scattered is None or scattered in refused else {scattered: None}
    return tuple(_alternative_of(plan, mask, own) for mask in found)


def _search_of(
    plan: SeatPlan, wanted: Collection[str], own: Collection[str], conflicts: Collection[str]
) -> _SeatSearch:
    numbers = tuple(sorted(plan.numbers[name] for name in wanted))
    asked, taken = mask_of(numbers), plan.mask_named(conflicts)
    known_free = plan.mask_named(own) | (asked if taken else 0)
    available = (plan.free | known_free) & ~taken
    places = [plan.places[number] for number in numbers]
    return _SeatSearch(
        numbers,
        available,
        kept=asked & available,
        x=sum(place.x for place in places),
        y=sum(place.y for place in places),
        price_cents=sum(place.seat.price_cents for place in places),
        kinds=kinds_of(places),
    )


def _candidates(plan: SeatPlan, search: _SeatSearch) -> Iterator[int]:
    is_group = len(search.numbers) > 1
    if is_group and search.kept and search.gone:
        yield from _repaired(plan, search)
    home = plan.places[search.numbers[0]].section
    for section in _sections_from(plan, home):
        yield from _in_one_row(plan, search, section)
        if is_group:
            yield from _over_rows(plan, search, section)


def _repaired(plan: SeatPlan, search: _SeatSearch) -> Iterator[int]:
    """Yield the sets that keep the seats still free and replace only the lost ones, by seats next to the rest."""
    if not plan.are_together(search.numbers):
        if mask := _replaced_one_by_one(plan, search):
            yield mask
        return
    is_one_row = len({plan.places[number].y for number in search.numbers}) == 1
    links = plan.beside if is_one_row else plan.around
    kept, gap = members_of(search.kept), search.gone[0]
    nearest = sorted(_edge(search, kept, links), key=functools.partial(_preference, plan, gap))
    for first in nearest[:ALTERNATIVES_LIMIT]:
        grown = _grown(plan, search, [*kept, first], links, gap)
        if grown and plan.are_together(grown):
            yield mask_of(grown)


def _sections_from(plan: SeatPlan, home: int) -> list[int]:
    """Return the sections: `home`, those of the same cabin, then the others, each group nearest first."""
    cabin_of = plan.cabin_of
    return sorted(cabin_of, key=lambda section: (cabin_of[section] != cabin_of[home], abs(section - home), section))


def _in_one_row(plan: SeatPlan, search: _SeatSearch, section: int) -> list[int]:
    """Return the free blocks of the section. They are sorted by plain numbers, because there are many."""
    _, available, _, x, y, price_cents, kinds = search
    ranked = [
        (
            (block.has_aisle << 1 | (block.price_cents != price_cents)) << 40
            | (abs(block.x - x) + abs(block.y - y)) << 20
            | (block.kinds != kinds) << 19
            | block.rank,
            block.mask,
        )
        for block in plan.blocks(section, len(search.numbers))
        if block.mask & available == block.mask
    ]
    ranked.sort()
    return [mask for _, mask in ranked]


def _over_rows(plan: SeatPlan, search: _SeatSearch, section: int) -> Iterator[int]:
    """Yield groups that grow from the free seats nearest to the requested ones, over neighbouring rows."""
    count = len(search.numbers)
    prices = {plan.places[number].seat.price_cents for number in search.numbers}

    def preference(seed: int) -> tuple[bool, int, int]:
        place = plan.places[seed]
        distance = abs(count * place.x - search.x) + abs(count * place.y - search.y)
        return place.seat.price_cents not in prices, distance, -seed

    seeds = [number for number in plan.numbers_in(section) if search.available >> number & 1]
    for seed in sorted(seeds, key=preference)[:_SEEDS_LIMIT]:
        if grown := _grown(plan, search, [seed], plan.around, seed):
            yield mask_of(grown)


def _grown(
    plan: SeatPlan, search: _SeatSearch, start: list[int], links: Sequence[Sequence[int]], towards: int
) -> list[int] | None:
    """Return `start` grown by the free neighbours nearest to `towards` until there are enough seats, or None."""
    members = list(start)
    while len(members) < len(search.numbers):
        edge = _edge(search, members, links)
        if not edge:
            return None
        members.append(min(edge, key=functools.partial(_preference, plan, towards)))
    return members


def _edge(search: _SeatSearch, members: Sequence[int], links: Sequence[Sequence[int]]) -> set[int]:
    """Return the free seats next to the members."""
    free = {near for member in members for near in links[member] if search.available >> near & 1}
    return free.difference(members)


def _replaced_one_by_one(plan: SeatPlan, search: _SeatSearch) -> int | None:
    """Return the requested seats still free, each lost one replaced by the nearest free seat, or None."""
    chosen = search.kept
    for gone in search.gone:
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
        abs(here.x - there.x) + abs(here.y - there.y),
        here.kind != there.kind,
        -other,
    )


def _alternative_of(plan: SeatPlan, mask: int, own: Mapping[str, int]) -> Alternative:
    seats = [plan.places[number].seat for number in members_of(mask)]
    return Alternative(sort_seats(seat.id for seat in seats), sum(own.get(seat.id, seat.price_cents) for seat in seats))
