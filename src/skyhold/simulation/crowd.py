"""A crowd: so many customers for so long, and then nothing of theirs is left open."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from time import monotonic

from skyhold.simulation.customers import Customer, Scene
from skyhold.simulation.guests import Api
from skyhold.simulation.outcomes import Outcomes
from skyhold.simulation.pauses import Leaving, Pauses
from skyhold.simulation.replies import Surprise, Unreachable
from skyhold.simulation.trips import plan_trips

FINISH_SECONDS = 60.0
"""How long customers may take to finish what they are at; the longest payment by default takes forty."""

LET_GO_SECONDS = 20.0
"""How long they may take to let go of what they hold."""

ARRIVAL_SHARE = 0.4
LONGEST_ARRIVAL_SECONDS = 20.0
"""All have come after this share of the time, or after so long: the first at once, many soon, the rest one by one."""


class Closing(StrEnum):
    """Why a crowd came to its end."""

    TIME_OVER = "timeOver"
    SOLD_OUT = "soldOut"
    STOPPED = "stopped"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True)
class CrowdPlan:
    """How many customers, for how many seconds, on which flights (numbers by id), drawn from which seed."""

    customers: int
    seconds: float
    flights: Mapping[str, str]
    seed: int
    pace: float = 1.0

    def arrivals(self) -> Sequence[float]:
        """Return when each customer comes, in seconds from the beginning."""
        window = min(LONGEST_ARRIVAL_SECONDS, self.seconds * ARRIVAL_SHARE)
        return [window * (number / self.customers) ** 2 for number in range(self.customers)]


class Crowd:
    """Runs its plan once; `outcomes` can be looked at meanwhile."""

    def __init__(self, api: Api, plan: CrowdPlan) -> None:
        self.plan = plan
        self.outcomes = Outcomes()
        self.closing: Closing | None = None
        self._pauses = Pauses(plan.pace)
        self._scene = Scene(api, plan.flights, self._pauses, self.outcomes, lambda: self._close(Closing.SOLD_OUT))
        self._customers: list[Customer] = []
        self._began_at = monotonic()

    @property
    def kept_waiting(self) -> int:
        """How many customers the API keeps waiting."""
        return sum(customer.is_kept_waiting for customer in self._customers)

    @property
    def seconds(self) -> float:
        """How long it has been under way."""
        return monotonic() - self._began_at

    @property
    def is_stopped(self) -> bool:
        """Whether somebody stopped it."""
        return self.closing is Closing.STOPPED

    @property
    def is_leaving(self) -> bool:
        """Whether all were told to go home."""
        return self._pauses.is_leaving

    async def run(self) -> None:
        """Let the customers come, and return when all have gone and left nothing behind that can be helped."""
        self._began_at = monotonic()
        async with asyncio.TaskGroup() as group:
            customers = [
                group.create_task(self._accompany(number, arrival))
                for number, arrival in enumerate(self.plan.arrivals(), start=1)
            ]
            clock = group.create_task(self._keep_time(customers))
            await asyncio.wait(customers)
            clock.cancel()

    def leave(self, closing: Closing = Closing.STOPPED) -> None:
        """Send all home now: what is held is let go. The first reason for it stands."""
        if not self.is_leaving:
            self.closing = closing
        self._pauses.leave()

    async def _accompany(self, number: int, arrival: float) -> None:
        """See one customer through, however their life goes."""
        random = Random(f"{self.plan.seed} {number}")
        customer = Customer(f"customer {number}", self._scene, plan_trips(random, list(self.plan.flights)))
        self._customers.append(customer)
        await self._pauses.closed(within=arrival)
        await self._note_trouble(customer.live())
        await self._note_trouble(customer.let_go())
        self._customers.remove(customer)

    async def _note_trouble(self, act: Awaitable[None]) -> None:
        try:
            await act
        except Leaving:
            return
        except Unreachable:
            self.leave(Closing.UNREACHABLE)
        except Surprise as surprise:
            self.outcomes.surprise(surprise)

    async def _keep_time(self, customers: Sequence[asyncio.Task[None]]) -> None:
        """Close in time, and bound what comes after: the finishing, and the letting go."""
        await self._pauses.closed(within=self.plan.seconds)
        self._close(Closing.TIME_OVER)
        await self._pauses.left(within=FINISH_SECONDS)
        self._pauses.leave()
        await asyncio.sleep(LET_GO_SECONDS)
        for customer in customers:
            customer.cancel()

    def _close(self, closing: Closing) -> None:
        self.closing = self.closing or closing
        self._pauses.close()
