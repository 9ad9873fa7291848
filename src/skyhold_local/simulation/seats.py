"""The choice of seats: next to each other if possible, of the preferred kind and place.

Preferences are similar, so customers who read the same map at the same time compete for the same seats.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from skyhold.domain.seat_plans import Block, CabinLayout, Place, PlacedSeat, SeatPlan, members_of
from skyhold.domain.seats import SeatStatus, sort_seats

WINDOW, AISLE = "w", "a"

_FAVOURITES = 8
"""A customer takes one of this number of best blocks; the better a block, the likelier."""

_CABIN_STEEPNESS = 6
"""The higher, the fewer customers want a more expensive cabin than the cheapest."""


@dataclass(frozen=True)
class SeatPreference:
    """The seats that a customer prefers: how many (`party`), of which kind, and where.

    `kind` is window or aisle, for at least one of them. `is_left` and `depth` are the place in the cabin, from 0 at the
    front to 1 at the back. `comfort` selects the cabin by price, from 0 for the cheapest, and `luck` one of the best
    blocks, from 0 for the best. All three numbers are less than 1.
    """

    party: int
    kind: str
    is_left: bool
    depth: float
    comfort: float
    luck: float


class SeatMap:
    """The seats of a flight as a customer saw them, or `only` some of them."""

    def __init__(self, seat_map: Mapping[str, Any], *, only: Collection[str] | None = None) -> None:
        seats = [
            PlacedSeat(
                str(seat["id"]),
                int(seat["row"]),
                str(seat["column"]),
                str(seat["cabin"]),
                SeatStatus(seat["status"]),
                int(seat["priceCents"]),
            )
            for seat in seat_map["seats"]
            if only is None or seat["id"] in only
        ]
        cabins = [
            CabinLayout(str(cabin["name"]), int(cabin["firstRow"]), int(cabin["lastRow"]), str(cabin["layout"]))
            for cabin in seat_map["cabins"]
        ]
        self.plan = SeatPlan(seats, cabins)

    @property
    def free_seats(self) -> tuple[str, ...]:
        """The free seats, sorted."""
        return self._names(members_of(self.plan.free))

    @property
    def is_sold_out(self) -> bool:
        """True if no seat is free, and no seat is held, so that none can become free again."""
        unsold = {SeatStatus.AVAILABLE, SeatStatus.RESERVED}
        return not any(place.seat.status in unsold for place in self.plan.places)

    def choose(self, preference: SeatPreference) -> tuple[str, ...]:
        """Return free seats by the preference, sorted; fewer than the party if there are no more."""
        free = members_of(self.plan.free)
        party = min(preference.party, len(free))
        if party == 0:
            return ()
        for section in self._sections(preference):
            together = [
                block for block in self.plan.blocks(section, party) if block.mask & self.plan.free == block.mask
            ]
            if together:
                return self._names(members_of(self._one_of_the_best(together, section, preference, party).mask))
        return self._names(self._nearest(free, party, preference))

    def _sections(self, preference: SeatPreference) -> list[int]:
        """Return the cabins by their distance in price rank from the preferred one, which is first."""
        prices = {section: self._price(section) for section in self.plan.cabin_of}
        by_price = sorted(prices, key=lambda section: (prices[section], section))
        wanted = int(preference.comfort**_CABIN_STEEPNESS * len(by_price))
        return sorted(by_price, key=lambda section: abs(by_price.index(section) - wanted))

    def _price(self, section: int) -> int:
        return min(self.plan.places[number].seat.price_cents for number in self.plan.numbers_in(section))

    def _one_of_the_best(self, blocks: list[Block], section: int, preference: SeatPreference, party: int) -> Block:
        """Return one of the blocks that fit the preference best."""
        depths = [self.plan.places[number].y for number in self.plan.numbers_in(section)]
        front, length = min(depths), max(1, max(depths) - min(depths))

        def cost(block: Block) -> tuple[float, int]:
            is_elsewhere = abs((block.y / party - front) / length - preference.depth)
            is_other_side = (block.x < 0) is not preference.is_left
            return is_elsewhere + (
                preference.kind not in block.kinds
            ) / 3 + block.has_aisle / 4 + is_other_side / 8, block.rank

        blocks.sort(key=cost)
        return blocks[int(preference.luck**2 * min(_FAVOURITES, len(blocks)))]

    def _nearest(self, free: list[int], party: int, preference: SeatPreference) -> list[int]:
        """Return seats that are near each other, because no row has enough of them side by side."""
        first = self.plan.places[free[int(preference.luck * len(free))]]

        def distance(number: int) -> int:
            place: Place = self.plan.places[number]
            return abs(place.x - first.x) + abs(place.y - first.y)

        return sorted(free, key=distance)[:party]

    def _names(self, numbers: list[int]) -> tuple[str, ...]:
        return sort_seats(self.plan.places[number].seat.id for number in numbers)
