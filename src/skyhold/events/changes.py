"""What an event says, and how it is written: which order changed, on which flight, and the seats that became others.

Loads no driver, so that activities can make one of these wherever they are imported.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

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
        """Return the change as it is written into the stream."""
        seats = None if self.seats is None else [[seat.id, seat.status, seat.version] for seat in self.seats]
        return json.dumps({"order": self.order_id, "flight": self.flight_id, "seats": seats}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Change | None:
        """Return the change that an entry tells of, or None if it tells of something else.

        Another version of this program may write what this one does not know.
        """
        try:
            members = json.loads(text)
            told = members["seats"]
            seats = None if told is None else tuple(SeatState(s, SeatStatus(status), int(v)) for s, status, v in told)
            order, flight = members["order"], members["flight"]
            return cls(order, flight, seats) if isinstance(order, str) and isinstance(flight, str | None) else None
        except (ValueError, TypeError, KeyError):
            return None


Publish: TypeAlias = Callable[[Change], None]
"""Tell of a change. It never waits and never fails: the ledger has the truth already."""
