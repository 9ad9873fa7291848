"""A crowd: so many customers for so long, and then nothing of theirs is left open."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from time import monotonic

from skyhold_local.simulation.connections import Api
from skyhold_local.simulation.customers import Customer
from skyhold_local.simulation.fights import Fight, as_fighter
from skyhold_local.simulation.outcomes import Outcomes
from skyhold_local.simulation.pauses import PATIENCE_SECONDS, Leaving, Pauses
from skyhold_local.simulation.replies import Surprise, Unreachable
from skyhold_local.simulation.scenes import Scene
from skyhold_local.simulation.trips import plan_trips
from skyhold_local.simulation.whims import Character, draw_characters, draw_whims

FINISH_SECONDS = 60.0
"""How long customers may take to finish what they are at, besides their patience; the longest payment takes forty."""

LET_GO_SECONDS = 20.0
"""How long they may take to let go of what they hold."""

ARRIVAL_SHARE = 0.4
LONGEST_ARRIVAL_SECONDS = 20.0
"""All have come after this share of the time, or after so long: the first at once, many soon, the rest one by one."""

STAMPEDE_SECONDS = 1.0
"""To a fight all come within this time."""


class Closing(StrEnum):
    """Why a crowd came to its end."""

    TIME_OVER = "timeOver"
    SOLD_OUT = "soldOut"
    STOPPED = "stopped"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True)
class CrowdPlan:
    """How many customers, for how many seconds, on which flights (numbers by id), drawn from which seed.

    Of a hundred so many are `liars`, and so many have a `shaky` line. In a `fight` all want the same few seats.
    """

    customers: int
    seconds: float
    flights: Mapping[str, str]
    seed: int
    pace: float = 1.0
    patience: float = PATIENCE_SECONDS
    liars: int = 0
    shaky: int = 0
    fight: Fight | None = None

    def arrivals(self) -> Sequence[float]:
        """Return when each customer comes, in seconds from the beginning."""
        if self.fight:
            return [STAMPEDE_SECONDS * number / self.customers for number in range(self.customers)]
        window = min(LONGEST_ARRIVAL_SECONDS, self.seconds * ARRIVAL_SHARE)
        return [window * (number / self.customers) ** 2 for number in range(self.customers)]

    def characters(self) -> Sequence[Character]:
        """Return what each customer is like."""
        return draw_characters(self.seed, self.customers, liars=self.liars, shaky=self.shaky)


class Crowd:
    """Runs its plan once; `outcomes` can be looked at meanwhile."""

    def __init__(self, api: Api, plan: CrowdPlan) -> None:
        self.plan = plan
        self.outcomes = Outcomes()
        self.closing: Closing | None = None
        self.trouble = ""
        self._pauses = Pauses(plan.pace, plan.patience)
        self._scene = Scene(
            api, plan.flights, self._pauses, self.outcomes, lambda: self._close(Closing.SOLD_OUT), plan.fight
        )
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
                group.create_task(self._accompany(number, arrival, character))
                for number, (arrival, character) in enumerate(
                    zip(self.plan.arrivals(), self.plan.characters(), strict=True), start=1
                )
            ]
            clock = group.create_task(self._keep_time(customers))
            await asyncio.wait(customers)
            clock.cancel()

    def leave(self, closing: Closing = Closing.STOPPED) -> None:
        """Send all home now: what is held is let go. The first reason for it stands."""
        if not self.is_leaving:
            self.closing = closing
        self._pauses.leave()

    async def _accompany(self, number: int, arrival: float, character: Character) -> None:
        """See one customer through, however their life goes."""
        trips = plan_trips(Random(f"{self.plan.seed} {number}"), list(self.plan.flights))
        whims = draw_whims(Random(f"{self.plan.seed} {number} whims"), character)
        customer = Customer(
            f"customer {number}", self._scene, map(as_fighter, trips) if self.plan.fight else trips, whims
        )
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
        except Unreachable as unreachable:
            self.trouble = self.trouble or str(unreachable)
            self.leave(Closing.UNREACHABLE)
        except Surprise as surprise:
            self.outcomes.surprise(surprise)

    async def _keep_time(self, customers: Sequence[asyncio.Task[None]]) -> None:
        """Close in time, and bound what comes after: the finishing, and the letting go."""
        await self._pauses.closed(within=self.plan.seconds)
        self._close(Closing.TIME_OVER)
        await self._pauses.left(within=FINISH_SECONDS + self._pauses.patience_seconds)
        self._pauses.leave()
        await asyncio.sleep(LET_GO_SECONDS)
        for customer in customers:
            customer.cancel()

    def _close(self, closing: Closing) -> None:
        self.closing = self.closing or closing
        self._pauses.close()
