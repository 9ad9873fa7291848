"""A crowd: a number of simulated customers for a limited time, who leave no order open."""

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

RELEASE_SECONDS = 20.0
"""Time to release all holds after the crowd was stopped."""


class Closing(StrEnum):
    """The reason why a crowd ended."""

    TIME_OVER = "timeOver"
    SOLD_OUT = "soldOut"
    STOPPED = "stopped"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True)
class CrowdPlan:
    """Customers, seconds, flights (numbers by id) and the seed that all decisions are drawn from.

    `pace` is the factor by which customers decide faster than people, `retry_seconds` the time for which a failing
    request is retried. `behaviour_of` returns the behaviour of a customer by number.
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
    """Runs its plan once; `outcomes` can be read meanwhile."""

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
    def retrying_customers(self) -> int:
        """Number of customers whose last request failed and is being retried."""
        return sum(customer.is_retrying for customer in self._customers)

    @property
    def seconds(self) -> float:
        """Seconds since the crowd began."""
        return monotonic() - self._began_at

    @property
    def is_stopped(self) -> bool:
        """True if the crowd ended because its caller stopped it."""
        return self.closing is Closing.STOPPED

    @property
    def is_releasing(self) -> bool:
        """True once the crowd was stopped, for any reason, and releases its holds."""
        return self._pauses.is_stopped

    async def run(self) -> None:
        """Run all customers, and return when they have ended their orders or run out of time to do so."""
        self._began_at = monotonic()
        async with asyncio.TaskGroup() as group:
            arrivals = self.plan.goal.arrivals(self.plan.customers, self.plan.seconds)
            customers = [
                group.create_task(self._run_customer(number, arrival))
                for number, arrival in enumerate(arrivals, start=1)
            ]
            clock = group.create_task(self._enforce_times(customers))
            await asyncio.wait(customers)
            clock.cancel()

    def stop(self, closing: Closing = Closing.STOPPED) -> None:
        """Stop all customers, who then release their holds. The reason of the first stop is kept."""
        if not self.is_releasing:
            self.closing = closing
        self._pauses.stop()

    async def _run_customer(self, number: int, arrival: float) -> None:
        """Run one customer from arrival to end, and release its holds even after a failure."""
        trips = plan_trips(Random(f"{self.plan.seed} {number}"), list(self.plan.flights))
        behaviour = self.plan.behaviour_of(number)
        customer = Customer(f"customer {number}", self._shared, map(self.plan.goal.adapt, trips), behaviour)
        self._customers.append(customer)
        await self._pauses.wait_until_closed(within=arrival)
        await self._handle_failure(customer.run())
        await self._handle_failure(customer.release_holds())
        self._customers.remove(customer)

    async def _handle_failure(self, act: Awaitable[None]) -> None:
        try:
            await act
        except CrowdStopped:
            return
        except Unreachable as unreachable:
            self.failure = self.failure or str(unreachable)
            self.stop(Closing.UNREACHABLE)
        except ContractViolation as violation:
            self.outcomes.count_violation(violation)

    async def _enforce_times(self, customers: Sequence[asyncio.Task[None]]) -> None:
        """Close the crowd when its time is over, and bound the time to finish orders and to release holds."""
        await self._pauses.wait_until_closed(within=self.plan.seconds)
        self._close(Closing.TIME_OVER)
        await self._pauses.wait_until_stopped(within=FINISH_SECONDS + self._pauses.retry_seconds)
        self._pauses.stop()
        await asyncio.sleep(RELEASE_SECONDS)
        for customer in customers:
            customer.cancel()

    def _close(self, closing: Closing) -> None:
        self.closing = self.closing or closing
        self._pauses.close()
