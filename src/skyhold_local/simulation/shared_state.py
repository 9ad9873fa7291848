"""State shared by the customers of a crowd, and a guest whose requests are counted for all of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from skyhold_local.simulation.behaviours import Behaviour, Moment
from skyhold_local.simulation.connections import Api
from skyhold_local.simulation.goals import Goal
from skyhold_local.simulation.guests import Guest
from skyhold_local.simulation.orders import OwnOrder
from skyhold_local.simulation.outcomes import Outcomes
from skyhold_local.simulation.pauses import Pauses
from skyhold_local.simulation.replies import Act, Refused, Reply


@dataclass
class SharedState:
    """Connections, clock, goal and counts of a crowd; `flights` are those on which it books, numbers by id."""

    api: Api
    flights: Mapping[str, str]
    pauses: Pauses
    outcomes: Outcomes
    on_sold_out: Callable[[], None]
    goal: Goal = field(default_factory=Goal)
    sold_out: set[str] = field(default_factory=set)

    def note_sold_out(self, flight_id: str) -> None:
        """Record that no seat of this flight will be free again; with the last flight the crowd ends."""
        self.sold_out.add(flight_id)
        if self.sold_out.issuperset(self.flights):
            self.on_sold_out()


class CountedGuest:
    """A guest whose commands are sent by its behaviour, and whose replies and failures are counted."""

    def __init__(self, name: str, shared: SharedState, behaviour: Behaviour) -> None:
        self.name = name
        self.guest = Guest(shared.api, shared.pauses)
        self.outcomes = shared.outcomes
        self._behaviour = behaviour
        self._shared = shared

    def begin_trip(self) -> None:
        """Prepare for the next trip."""
        self._behaviour.begin_trip()

    async def send(
        self, act: Act, method: str, path: str, body: Mapping[str, Any] | None = None, *, if_match: str | None = None
    ) -> Reply:
        """Send a command, and count its reply.

        Raises:
            Refused: it was refused.
            Unreachable: the API does not answer.
            ContractViolation: the reply is not one that the API documents.
            CrowdStopped: the crowd was stopped.
        """
        try:
            if self.guest.is_releasing:
                reply = await self.guest.send(act, method, path, body, if_match=if_match)
            else:
                reply = await self._behaviour.send(self.guest, act, method, path, body, if_match=if_match)
        except Refused as refused:
            self.outcomes.count_refusal(refused, self.name)
            raise
        finally:
            self.count_failures()
        self.outcomes.record_success(act, reply.response_time)
        return reply

    async def reach(
        self, moment: Moment, flight_id: str, order: OwnOrder | None = None, *, own_ids: Collection[str] = ()
    ) -> None:
        """Let the behaviour act at this stage of a trip, unless the crowd was stopped; raises as `Behaviour.reach`."""
        if not self._shared.pauses.is_stopped:
            await self._behaviour.reach(moment, self, flight_id, order, own_ids=own_ids)

    async def await_end(self, order: OwnOrder) -> Mapping[str, Any]:
        """Follow the order until it has ended, and return its last status.

        Raises:
            Unreachable: the API does not answer.
            ContractViolation: a reply is not one that the API documents, or the order took an illegal transition.
        """
        try:
            return await self.guest.await_end(order.id, order.apply_status)
        finally:
            self.count_failures()

    def count_failures(self) -> None:
        """Add the failures that made the guest retry to those of the crowd."""
        self.outcomes.failures += self.guest.take_failures()

    def report(self, flight_id: str, event: str) -> None:
        """Add a line to the recent events of the crowd."""
        self.outcomes.recent_events.append(f"{self._shared.flights[flight_id]}  {self.name} {event}")
