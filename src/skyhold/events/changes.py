"""What an event says, and how it is written: which order changed, on which flight, and the seats that became others.

Loads no driver, so that activities can make one of these wherever they are imported.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from skyhold.domain.seats import SeatState, SeatStatus


@dataclass(frozen=True)
class Change:
    """One committed step of an order, and the seats whose status or owner it changed.

    `seats` is None if they are not known any more: the step had been answered before, by a run that may not have
    published it. Whoever watches the flight then looks for itself.
    """

    order_id: str
    flight_id: str | None
    seats: tuple[SeatState, ...] | None = ()

    def to_json(self) -> str:
        """Return the change as it is written into the stream.

        Prices stand beside the seats and not among them, where versions of this program that know none can read on.
        """
        seats = None if self.seats is None else [[seat.id, seat.status, seat.version] for seat in self.seats]
        prices = [seat.price_cents for seat in self.seats or ()]
        entry = {"order": self.order_id, "flight": self.flight_id, "seats": seats, "prices": prices}
        return json.dumps(entry, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Change | None:
        """Return the change of an entry, or None if the entry is something else.

        Another version of this program may write what this one does not know. The seats of one that knows no prices
        are left to be compared.
        """
        try:
            members = json.loads(text)
            order, flight = members["order"], members["flight"]
            seats = _seats_of(members["seats"], members.get("prices"))
            return cls(order, flight, seats) if isinstance(order, str) and isinstance(flight, str | None) else None
        except (ValueError, TypeError, KeyError, AttributeError):
            return None


def _seats_of(seats: list[list[Any]] | None, prices: list[int] | None) -> tuple[SeatState, ...] | None:
    if seats is None:
        return None
    known = [(seat_id, SeatStatus(status), int(version)) for seat_id, status, version in seats]
    if prices is None:
        return None if known else ()
    return tuple(SeatState(*seat, int(price)) for seat, price in zip(known, prices, strict=True))


Publish: TypeAlias = Callable[[Change], None]
"""Tell of a change. It never waits and never fails: the ledger has the truth already."""
