"""An order as its customer knows it, held against what the API says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Any, Self

from skyhold.simulation.replies import Act, Reply, Surprise, understood


@dataclass
class OwnOrder:
    """An order as its customer saw it last; `tag` is that of its seats, `ends_at` by this process's clock."""

    id: str
    flight_id: str
    seats: tuple[str, ...]
    tag: str
    ends_at: float

    @classmethod
    def of(cls, flight_id: str, seats: tuple[str, ...], reply: Reply) -> Self:
        """Return the order that a hold has made.

        Raises:
            Surprise: the reply does not tell of one.
        """
        with understood(Act.HOLD):
            return cls(str(reply.body["orderId"]), flight_id, seats, reply.tag or "", _ends_at(reply.body))

    @property
    def seconds_left(self) -> float:
        """How long its seats are held."""
        return self.ends_at - monotonic()

    def change(self, seats: tuple[str, ...], reply: Reply) -> None:
        """Take over the seats that a change has given, and their time.

        Raises:
            Surprise: the reply tells of others.
        """
        with understood(Act.CHANGE):
            self.seats, self.tag, self.ends_at = seats, reply.tag or "", _ends_at(reply.body)
        self.require_seats(Act.CHANGE, reply.body)

    def require_seats(self, act: Act, body: Mapping[str, Any]) -> None:
        """Hold the seats of a reply against those that the order should have.

        Raises:
            Surprise: they are others.
        """
        with understood(act):
            given = set(body["seats"])
        if given != set(self.seats):
            raise Surprise(f"A {act} was answered with other seats than its order should have.")


def _ends_at(body: Mapping[str, Any]) -> float:
    """Return when a hold ends by this process's clock, whatever that shows."""
    expires_at, now = (datetime.fromisoformat(body[name]) for name in ("expiresAt", "serverTime"))
    return monotonic() + (expires_at - now).total_seconds()
