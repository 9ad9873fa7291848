"""What the customers of a crowd share, and how what one of them asks is counted for all."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from skyhold_local.simulation.connections import Api
from skyhold_local.simulation.fights import Fight
from skyhold_local.simulation.guests import Guest
from skyhold_local.simulation.lies import Lie, Occasion, nobodys_order, tell_lie
from skyhold_local.simulation.orders import OwnOrder
from skyhold_local.simulation.outcomes import Outcomes
from skyhold_local.simulation.pauses import Pauses
from skyhold_local.simulation.replies import Act, Refused, Reply
from skyhold_local.simulation.retries import ask_by_mishap
from skyhold_local.simulation.whims import NONE, Whims


@dataclass
class Scene:
    """What the customers of a crowd share; `flights` are those they want, numbers by id."""

    api: Api
    flights: Mapping[str, str]
    pauses: Pauses
    outcomes: Outcomes
    on_sold_out: Callable[[], None]
    fight: Fight | None = None
    sold_out: set[str] = field(default_factory=set)

    def note_sold_out(self, flight_id: str) -> None:
        """Remember that no seat of this flight will be free again; when none of any will, nothing is left to do."""
        self.sold_out.add(flight_id)
        if self.sold_out.issuperset(self.flights):
            self.on_sold_out()


class CountedGuest:
    """A guest whose answers, troubles and lies are counted, and whose commands go as the whims of the trip have it."""

    def __init__(self, name: str, scene: Scene) -> None:
        self.name = name
        self.whims: Whims = NONE
        self.guest = Guest(scene.api, scene.pauses)
        self._scene = scene
        self._outcomes = scene.outcomes

    async def ask(
        self, act: Act, method: str, path: str, body: Mapping[str, Any] | None = None, *, if_match: str | None = None
    ) -> Reply:
        """Ask the API, and count what it says.

        Raises:
            Refused: it was a no.
            Unreachable: nobody answers.
            Surprise: it answered what it must not.
            Leaving: all were told to go home.
        """
        mishap = None if self.guest.is_going_home else self.whims.mishaps.get(act)
        try:
            if mishap is None:
                reply = await self.guest.ask(act, method, path, body, if_match=if_match)
            else:
                self._outcomes.mishaps[mishap] += 1
                reply = await ask_by_mishap(
                    self.guest,
                    mishap,
                    act,
                    method=method,
                    path=path,
                    body=body,
                    if_match=if_match,
                    lost_after=self.whims.lost_after,
                )
        except Refused as refused:
            self._outcomes.refuse(refused, self.name)
            raise
        finally:
            self._outcomes.troubles += self.guest.take_troubles()
        self._outcomes.took(act, reply.waited)
        return reply

    async def await_end(self, order: OwnOrder) -> Mapping[str, Any]:
        """Follow the order until it has ended, and return its last status.

        Raises:
            Unreachable: nobody answers.
            Surprise: it answered what it must not, or the order went a way that it cannot go.
        """
        try:
            return await self.guest.await_end(order.id, order.see)
        finally:
            self._outcomes.troubles += self.guest.take_troubles()

    async def lie(
        self, lie: Lie, flight_id: str, order: OwnOrder | None = None, *, own_ids: Collection[str] = ()
    ) -> None:
        """Tell the lie, count it, and see that an own order is what it was.

        Of all open orders of the crowd those that are not the liar's own, by `own_ids`, are somebody else's.

        Raises:
            Surprise: it was granted, or broke the API, or changed something.
            Unreachable: nobody answers.
            Leaving: all were told to go home.
        """
        others = next((each for each in self._outcomes.open_orders if each not in own_ids), None)
        occasion = Occasion(flight_id, others or nobodys_order(), self.guest.cookie, order)
        self._outcomes.lies_told[lie] += 1
        self.tell(flight_id, f"lies: {lie.words}")
        try:
            await tell_lie(self.guest, lie, occasion)
            if order is not None:
                order.see(await self.guest.status(order.id))
        finally:
            self._outcomes.troubles += self.guest.take_troubles()
        self._outcomes.lies_refused[lie] += 1

    def tell(self, flight_id: str, what: str) -> None:
        """Tell whoever watches the crowd."""
        self._outcomes.news.append(f"{self._scene.flights[flight_id]}  {self.name} {what}")
