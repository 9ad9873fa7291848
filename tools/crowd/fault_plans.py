"""Fault plans: the network faults of each command and the forbidden requests of each trip, drawn before it begins.

They use their own random generator, so a seed gives the same trips with and without faults.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from skyhold_local.simulation.behaviours import Behaviour, Moment
from skyhold_local.simulation.guests import Guest
from skyhold_local.simulation.orders import OwnOrder
from skyhold_local.simulation.replies import Act, Reply
from skyhold_local.simulation.shared_state import CountedGuest
from tools.crowd.forbidden_requests import FORBIDDEN, ForbiddenRequest, Occasion, send_forbidden, unknown_order
from tools.crowd.network_faults import NetworkFault, send_with_fault

NETWORK_FAULTS = 0.6
FORBIDDEN_REQUESTS = 0.6
"""Shares of a flaky customer's commands that meet a fault, and of the moments at which a forbidden request is sent."""

MAX_LOST_AFTER_SECONDS = 0.2
"""Longest time from sending a command to losing its reply: before, during or after its execution."""

_COMMANDS = (Act.HOLD, Act.CHANGE, Act.PAY, Act.CANCEL)
_AT: Mapping[Moment, tuple[ForbiddenRequest, ...]] = {
    moment: tuple(kind for kind in ForbiddenRequest if FORBIDDEN[kind].moment is moment) for moment in Moment
}


@dataclass(frozen=True)
class FaultPlan:
    """The faults of one trip; a lost reply is lost `lost_after` seconds after its command was sent."""

    network_faults: Mapping[Act, NetworkFault] = field(default_factory=dict)
    lost_after: float = 0.0
    forbidden: Mapping[Moment, ForbiddenRequest] = field(default_factory=dict)


@dataclass
class FaultCounts:
    """The faults injected into a crowd, counted."""

    network_faults: Counter[NetworkFault] = field(default_factory=Counter)
    sent: Counter[ForbiddenRequest] = field(default_factory=Counter)
    rejected: Counter[ForbiddenRequest] = field(default_factory=Counter)


def draw_fault_plans(random: Random, *, sends_forbidden: bool, is_flaky: bool) -> Iterator[FaultPlan]:
    """Yield the fault plan of one trip after the other, without end."""
    while True:
        # Both are drawn, used or not, so that one kind of fault does not change the draws of the other.
        faults = {act: random.choice(list(NetworkFault)) for act in _COMMANDS if random.random() < NETWORK_FAULTS}
        forbidden = {moment: random.choice(_AT[moment]) for moment in Moment if random.random() < FORBIDDEN_REQUESTS}
        yield FaultPlan(
            network_faults=faults if is_flaky else {},
            lost_after=random.uniform(0.0, MAX_LOST_AFTER_SECONDS),
            forbidden=forbidden if sends_forbidden else {},
        )


class FaultyBehaviour(Behaviour):
    """Sends commands with the network faults of the plan, and the forbidden requests between them."""

    def __init__(self, plans: Iterator[FaultPlan], counts: FaultCounts) -> None:
        self._plans = plans
        self._plan = FaultPlan()
        self._counts = counts

    def begin_trip(self) -> None:
        """Take the plan of the next trip."""
        self._plan = next(self._plans)

    async def send(
        self,
        guest: Guest,
        act: Act,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        if_match: str | None = None,
    ) -> Reply:
        """Send a command with the fault that the plan has for it; raises as `Behaviour.send`."""
        fault = self._plan.network_faults.get(act)
        if fault is None:
            return await super().send(guest, act, method, path, body, if_match=if_match)
        self._counts.network_faults[fault] += 1
        lost_after = self._plan.lost_after
        return await send_with_fault(
            guest, fault, act, method=method, path=path, body=body, if_match=if_match, lost_after=lost_after
        )

    async def reach(
        self,
        moment: Moment,
        customer: CountedGuest,
        flight_id: str,
        order: OwnOrder | None = None,
        *,
        own_ids: Collection[str] = (),
    ) -> None:
        """Send the forbidden request of this moment, if there is one, and check the status of the own order.

        Open orders of the crowd that are not in `own_ids` belong to other customers. Raises as `Behaviour.reach`.
        """
        kind = self._plan.forbidden.get(moment)
        if kind is None:
            return
        guest = customer.guest
        others = next((each for each in customer.outcomes.open_orders if each not in own_ids), None)
        self._counts.sent[kind] += 1
        customer.report(flight_id, f"sends a forbidden request: {kind.words}")
        try:
            await send_forbidden(guest, kind, Occasion(flight_id, others or unknown_order(), guest.cookie, order))
            if order is not None:
                order.apply_status(await guest.status(order.id))
        finally:
            customer.count_failures()
        self._counts.rejected[kind] += 1


def draw_behaviours(
    seed: int, customers: int, counts: FaultCounts, *, forbidden: int, flaky: int
) -> Callable[[int], Behaviour]:
    """Return the behaviour of each customer by number; `forbidden` and `flaky` are percentages."""
    random = Random(f"{seed} behaviours")

    def some(percent: int) -> set[int]:
        return set(random.sample(range(1, customers + 1), round(customers * percent / 100)))

    sending, flaking = some(forbidden), some(flaky)

    def behaviour_of(number: int) -> Behaviour:
        plans = draw_fault_plans(
            Random(f"{seed} {number} faults"), sends_forbidden=number in sending, is_flaky=number in flaking
        )
        return FaultyBehaviour(plans, counts)

    return behaviour_of
