"""A crowd: so many customers for so long, and then nothing of theirs is left open."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from time import monotonic

from skyhold_local.simulation.behaviours import Behaviour
from skyhold_local.simulation.connections import Api
from skyhold_local.simulation.customers import Customer
from skyhold_local.simulation.goals import Goal
from skyhold_local.simulation.outcomes import Outcomes
from skyhold_local.simulation.pauses import DEFAULT_RETRY_SECONDS, CrowdStopped, Pauses
from skyhold_local.simulation.replies import ContractViolation, Unreachable
from skyhold_local.simulation.shared_state import SharedState
from skyhold_local.simulation.trips import plan_trips

FINISH_SECONDS = 60.0
"""Time to finish open orders after the end, besides the time of retries; the longest payment takes 40 s."""

LET_GO_SECONDS = 20.0
"""How long they may take to let go of what they hold."""


class Closing(StrEnum):
    """Why a crowd came to its end."""

    TIME_OVER = "timeOver"
    SOLD_OUT = "soldOut"
    STOPPED = "stopped"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True)
class CrowdPlan:
    """Customers, seconds, flights (numbers by id) and the seed that all decisions are drawn from.

    `pace` is how many times faster than people the customers decide, `retry_seconds` how long a request is retried.
    `behaviour_of` gives each customer, by number, the way in which commands are sent.
    """

    customers: int
    seconds: float
    flights: Mapping[str, str]
    seed: int
    pace: float = 1.0
    retry_seconds: float = DEFAULT_RETRY_SECONDS
    goal: Goal = field(default_factory=Goal)
    behaviour_of: Callable[[int], Behaviour] = lambda _: Behaviour()


class Crowd:
    """Runs its plan once; `outcomes` can be looked at meanwhile."""

    def __init__(self, api: Api, plan: CrowdPlan) -> None:
        self.plan = plan
        self.outcomes = Outcomes()
        self.closing: Closing | None = None
        self.failure = ""
        self._pauses = Pauses(plan.pace, plan.retry_seconds)
        self._shared = SharedState(
            api, plan.flights, self._pauses, self.outcomes, lambda: self._close(Closing.SOLD_OUT), plan.goal
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
            arrivals = self.plan.goal.arrivals(self.plan.customers, self.plan.seconds)
            customers = [
                group.create_task(self._accompany(number, arrival)) for number, arrival in enumerate(arrivals, start=1)
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
        """Run one customer from arrival to end, whatever happens."""
        trips = plan_trips(Random(f"{self.plan.seed} {number}"), list(self.plan.flights))
        behaviour = self.plan.behaviour_of(number)
        customer = Customer(f"customer {number}", self._shared, map(self.plan.goal.adapt, trips), behaviour)
        self._customers.append(customer)
        await self._pauses.closed(within=arrival)
        await self._note_failure(customer.live())
        await self._note_failure(customer.let_go())
        self._customers.remove(customer)

    async def _note_failure(self, act: Awaitable[None]) -> None:
        try:
            await act
        except CrowdStopped:
            return
        except Unreachable as unreachable:
            self.failure = self.failure or str(unreachable)
            self.leave(Closing.UNREACHABLE)
        except ContractViolation as violation:
            self.outcomes.count_violation(violation)

    async def _keep_time(self, customers: Sequence[asyncio.Task[None]]) -> None:
        """Close in time, and bound what comes after: the finishing, and the letting go."""
        await self._pauses.closed(within=self.plan.seconds)
        self._close(Closing.TIME_OVER)
        await self._pauses.left(within=FINISH_SECONDS + self._pauses.retry_seconds)
        self._pauses.leave()
        await asyncio.sleep(LET_GO_SECONDS)
        for customer in customers:
            customer.cancel()

    def _close(self, closing: Closing) -> None:
        self.closing = self.closing or closing
        self._pauses.close()
