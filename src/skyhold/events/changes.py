"""The content of an event and its JSON form: the order that changed, its flight, and the seats that changed.

Loads no driver, so that activities can create events wherever they are imported.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from skyhold.domain.seats import SeatKey, SeatState, SeatStatus


@dataclass(frozen=True)
class Change:
    """One committed step of an order, and the seats whose status or owner it changed.

    `seats` is None if they are unknown: the step had been answered before, by a run that may not have published it.
    Then every follower of the flight compares its seats with PostgreSQL.
    """

    order_id: str
    flight_id: str | None
    seats: tuple[SeatState, ...] | None = ()

    def to_json(self) -> str:
        """Return the change as it is written into the stream.

        Prices are in a list of their own, so that versions of this program without prices can still read the seats.
        """
        seats = None if self.seats is None else [[seat.key.seat_id, seat.status, seat.version] for seat in self.seats]
        prices = [seat.price_cents for seat in self.seats or ()]
        entry = {"order": self.order_id, "flight": self.flight_id, "seats": seats, "prices": prices}
        return json.dumps(entry, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Change | None:
        """Return the change of an entry, or None if the entry is something else.

        Another version of this program may write entries that this one does not know. If it writes no prices, the seats
        are unknown and must be compared with PostgreSQL.
        """
        try:
            members = json.loads(text)
            order, flight = members["order"], members["flight"]
            seats = _seats_of(flight, members["seats"], members.get("prices"))
            return cls(order, flight, seats) if isinstance(order, str) and isinstance(flight, str | None) else None
        except (ValueError, TypeError, KeyError, AttributeError):
            return None


def _seats_of(flight_id: str, seats: list[list[Any]] | None, prices: list[int] | None) -> tuple[SeatState, ...] | None:
    if seats is None:
        return None
    known = [(SeatKey(flight_id, seat_id), SeatStatus(status), int(version)) for seat_id, status, version in seats]
    if prices is None:
        return None if known else ()
    return tuple(SeatState(*seat, int(price)) for seat, price in zip(known, prices, strict=True))


Publish: TypeAlias = Callable[[Change], None]
"""Publishes a change. It never waits and never fails: the change is already committed in the ledger."""
