"""The choice of seats: a preferred place, and one of the suggestions near it.

Preferences are similar, so customers who read the same map at the same time compete for the same seats.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from skyhold.domain.alternatives import find_suggestions
from skyhold.domain.seat_plans import CabinLayout, PlacedSeat, SeatPlan, members_of
from skyhold.domain.seats import SeatStatus, sort_seats

WINDOW, AISLE = "w", "a"

_CABIN_STEEPNESS = 6
"""The higher, the fewer customers want a more expensive cabin than the cheapest."""


@dataclass(frozen=True)
class SeatPreference:
    """The seats that a customer prefers: how many (`party`), of which kind, and where.

    `kind` is window or aisle, for at least one of them. `is_left` and `depth` are the place in the cabin, from 0 at the
    front to 1 at the back. `comfort` selects the cabin by price, from 0 for the cheapest, and `luck` one of the
    suggestions, from 0 for the best. All three numbers are less than 1.
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
        return sort_seats(self.plan.places[number].seat.id for number in members_of(self.plan.free))

    @property
    def is_sold_out(self) -> bool:
        """True if no seat is free, and no seat is held, so that none can become free again."""
        unsold = {SeatStatus.AVAILABLE, SeatStatus.RESERVED}
        return not any(place.seat.status in unsold for place in self.plan.places)

    def choose(self, preference: SeatPreference) -> tuple[str, ...]:
        """Return free seats together near the preferred place, sorted; fewer than the party if there are no more."""
        party = min(preference.party, self.plan.free.bit_count())
        found = find_suggestions(self.plan, party, near=self._favourite(preference)) if party else ()
        return found[int(preference.luck**2 * len(found))].seats if found else ()

    def _favourite(self, preference: SeatPreference) -> str:
        """Return the seat that fits the preference best, free or not."""
        numbers = list(self.plan.numbers_in(self._section(preference)))
        depths = [self.plan.places[number].y for number in numbers]
        front, length = min(depths), max(1, max(depths) - min(depths))

        def cost(number: int) -> float:
            place = self.plan.places[number]
            is_elsewhere = abs((place.y - front) / length - preference.depth)
            is_other_side = (place.x < 0) is not preference.is_left
            return is_elsewhere + (preference.kind not in place.kind) / 3 + is_other_side / 8

        return self.plan.places[min(numbers, key=cost)].seat.id

    def _section(self, preference: SeatPreference) -> int:
        """Return the preferred cabin: most customers want the cheapest."""
        prices = {section: self._price(section) for section in self.plan.cabin_of}
        by_price = sorted(prices, key=lambda section: (prices[section], section))
        return by_price[int(preference.comfort**_CABIN_STEEPNESS * len(by_price))]

    def _price(self, section: int) -> int:
        return min(self.plan.places[number].seat.price_cents for number in self.plan.numbers_in(section))
