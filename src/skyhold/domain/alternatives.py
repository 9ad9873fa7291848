"""What a customer could ask for instead of seats that are gone: whole sets, the nearest first.

What comes out is a hint, made from a seat plan that may be a moment old: the ledger decides who gets what.
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
"""For more seats than this nothing is looked for: no order has so many unless an operator allows it."""

_SEEDS_LIMIT = 12
"""From so many places at most a group over several rows is tried."""


@dataclass(frozen=True)
class Alternative:
    """As many seats as were wanted, sorted, all of them free, and what they cost together."""

    seats: tuple[str, ...]
    total_cents: int


class _Wish(NamedTuple):
    """What is wanted and what is free for it; `kept` are the wanted seats that are still free."""

    numbers: tuple[int, ...]
    available: int
    kept: int
    x: int
    y: int
    price_cents: int
    kinds: str

    @property
    def gone(self) -> list[int]:
        """The wanted seats that somebody else has."""
        return [number for number in self.numbers if not self.kept >> number & 1]


def find_alternatives(
    plan: SeatPlan,
    wanted: Collection[str],
    *,
    own: Mapping[str, int] = MappingProxyType({}),
    conflicts: Collection[str] = (),
) -> tuple[Alternative, ...]:
    """Return what could be asked for instead, the best first; nothing if there is nothing.

    `own` are the seats that the asking order holds, with their prices in cents: free for it, at the price it has them
    for, but as they are no alternative. `conflicts` are the wanted seats that were just found taken, and if there are
    any, the other wanted ones were just found free: that is newer than the plan.

    First the sets that keep what is left of the wish and still sit together; then neighbours in one row of the same
    cabin, best without an aisle between them; then groups over neighbouring rows; then other cabins. Each time the
    same price goes first, then the nearest place, then the same kinds of seats. If nobody can sit together any more,
    each lost seat is replaced by the nearest one.
    """
    if not 0 < len(wanted) <= GROUP_LIMIT or any(name not in plan.numbers for name in wanted):
        return ()
    wish = _wish_of(plan, wanted, own, conflicts)
    refused = {mask_of(wish.numbers), plan.mask_named(own)}
    found: dict[int, None] = {}
    for mask in _candidates(plan, wish):
        if mask not in refused:
            found[mask] = None
        if len(found) == ALTERNATIVES_LIMIT:
            break
    if not found:
        scattered = _replaced_one_by_one(plan, wish)
        found = {} if scattered is None or scattered in refused else {scattered: None}
    return tuple(_alternative_of(plan, mask, own) for mask in found)


def _wish_of(plan: SeatPlan, wanted: Collection[str], own: Collection[str], conflicts: Collection[str]) -> _Wish:
    numbers = tuple(sorted(plan.numbers[name] for name in wanted))
    asked, taken = mask_of(numbers), plan.mask_named(conflicts)
    known_free = plan.mask_named(own) | (asked if taken else 0)
    available = (plan.free | known_free) & ~taken
    places = [plan.places[number] for number in numbers]
    return _Wish(
        numbers,
        available,
        kept=asked & available,
        x=sum(place.x for place in places),
        y=sum(place.y for place in places),
        price_cents=sum(place.seat.price_cents for place in places),
        kinds=kinds_of(places),
    )


def _candidates(plan: SeatPlan, wish: _Wish) -> Iterator[int]:
    is_group = len(wish.numbers) > 1
    if is_group and wish.kept and wish.gone:
        yield from _repaired(plan, wish)
    home = plan.places[wish.numbers[0]].section
    for section in _sections_from(plan, home):
        yield from _in_one_row(plan, wish, section)
        if is_group:
            yield from _over_rows(plan, wish, section)


def _repaired(plan: SeatPlan, wish: _Wish) -> Iterator[int]:
    """Yield the sets that keep what is left and replace only what is gone, by seats next to the rest."""
    if not plan.are_together(wish.numbers):
        if mask := _replaced_one_by_one(plan, wish):
            yield mask
        return
    is_one_row = len({plan.places[number].y for number in wish.numbers}) == 1
    links = plan.beside if is_one_row else plan.around
    kept, gap = members_of(wish.kept), wish.gone[0]
    nearest = sorted(_edge(wish, kept, links), key=functools.partial(_preference, plan, gap))
    for first in nearest[:ALTERNATIVES_LIMIT]:
        grown = _grown(plan, wish, [*kept, first], links, gap)
        if grown and plan.are_together(grown):
            yield mask_of(grown)


def _sections_from(plan: SeatPlan, home: int) -> list[int]:
    """Return the sections: this one, those of the same cabin, the others, each time the nearest first."""
    cabin_of = plan.cabin_of
    return sorted(cabin_of, key=lambda section: (cabin_of[section] != cabin_of[home], abs(section - home), section))


def _in_one_row(plan: SeatPlan, wish: _Wish, section: int) -> list[int]:
    """Return the free blocks of the section. They are sorted by plain numbers, because there are many."""
    _, available, _, x, y, price_cents, kinds = wish
    ranked = [
        (
            (block.has_aisle << 1 | (block.price_cents != price_cents)) << 40
            | (abs(block.x - x) + abs(block.y - y)) << 20
            | (block.kinds != kinds) << 19
            | block.rank,
            block.mask,
        )
        for block in plan.blocks(section, len(wish.numbers))
        if block.mask & available == block.mask
    ]
    ranked.sort()
    return [mask for _, mask in ranked]


def _over_rows(plan: SeatPlan, wish: _Wish, section: int) -> Iterator[int]:
    """Yield groups that grow from the free seats nearest to the wish, over neighbouring rows."""
    count = len(wish.numbers)
    prices = {plan.places[number].seat.price_cents for number in wish.numbers}

    def preference(seed: int) -> tuple[bool, int, int]:
        place = plan.places[seed]
        distance = abs(count * place.x - wish.x) + abs(count * place.y - wish.y)
        return place.seat.price_cents not in prices, distance, -seed

    seeds = [number for number in plan.numbers_in(section) if wish.available >> number & 1]
    for seed in sorted(seeds, key=preference)[:_SEEDS_LIMIT]:
        if grown := _grown(plan, wish, [seed], plan.around, seed):
            yield mask_of(grown)


def _grown(
    plan: SeatPlan, wish: _Wish, start: list[int], links: Sequence[Sequence[int]], towards: int
) -> list[int] | None:
    """Return these seats with the free neighbours that are nearest to a place, until there are enough, or None."""
    members = list(start)
    while len(members) < len(wish.numbers):
        edge = _edge(wish, members, links)
        if not edge:
            return None
        members.append(min(edge, key=functools.partial(_preference, plan, towards)))
    return members


def _edge(wish: _Wish, members: Sequence[int], links: Sequence[Sequence[int]]) -> set[int]:
    """Return the free seats next to the members."""
    free = {near for member in members for near in links[member] if wish.available >> near & 1}
    return free.difference(members)


def _replaced_one_by_one(plan: SeatPlan, wish: _Wish) -> int | None:
    """Return what is left of the wish, and for each seat that is gone the nearest other one, or None."""
    chosen = wish.kept
    for gone in wish.gone:
        free = members_of(wish.available & ~chosen)
        if not free:
            return None
        chosen |= 1 << min(free, key=functools.partial(_preference, plan, gone))
    return chosen


def _preference(plan: SeatPlan, wanted: int, other: int) -> tuple[bool, bool, int, bool, int]:
    """Return by what a single seat is compared with others that could stand for the wanted one."""
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
