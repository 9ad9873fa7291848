"""What a customer whose seats are gone is told to take instead, from seat plans that are kept for a moment.

Owns how old a plan may be and how many are kept; which seats are offered is the domain's matter.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from skyhold.domain.alternatives import Alternative, find_alternatives
from skyhold.domain.errors import DatabaseUnavailable
from skyhold.domain.seat_plans import SeatPlan
from skyhold.queries.seat_plans import SeatPlanQueries

PLAN_AGE_SECONDS = 1.0
"""A plan older than this is read anew. A hint may be stale: the ledger decides."""

PATIENCE_SECONDS = 0.5
"""A refusal waits no longer than this for its hint."""

PLANS_LIMIT = 200
ANSWERS_LIMIT = 500
"""Of one plan so many answers are remembered: whoever loses the same seats in the same moment asks the same."""

Question = tuple[frozenset[str], frozenset[tuple[str, int]], frozenset[str]]
"""The seats that are wanted, those that are held with their prices in cents, and those that are gone."""


@dataclass
class _Kept:
    """A plan, under way or read, with the answers it gave; its age counts from when it was asked for."""

    plan: asyncio.Task[SeatPlan]
    asked_at: float
    answers: dict[Question, tuple[Alternative, ...]] = field(default_factory=dict)


class Alternatives:
    """Finds other seats, reading a flight's seats at most once a second however many ask."""

    def __init__(self, plans: SeatPlanQueries, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._plans = plans
        self._clock = clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    async def alternatives_for(
        self,
        flight_id: str,
        wanted: Collection[str],
        own_prices: Mapping[str, int] = MappingProxyType({}),
        conflicts: Collection[Mapping[str, str]] = (),
    ) -> list[dict[str, Any]]:
        """Return the sets of seats that could be asked for instead, as a problem tells them.

        `flight_id` is in the ledger's spelling; `own_prices` are in cents, by the seats that the asking order holds: a
        seat that it keeps costs what it did. `conflicts` are those of the refusal. Nothing is found when PostgreSQL
        does not answer soon: a hint is worth no wait.
        """
        question = (frozenset(wanted), frozenset(own_prices.items()), frozenset(fact["seat"] for fact in conflicts))
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                found = await self._answer(flight_id, question)
        except (TimeoutError, DatabaseUnavailable):
            return []
        return [{"seats": list(each.seats), "totalPriceCents": each.total_cents} for each in found]

    async def _answer(self, flight_id: str, question: Question) -> tuple[Alternative, ...]:
        kept = self._keep(flight_id)
        # Shielded, for others wait for it too.
        plan = await asyncio.shield(kept.plan)
        if question not in kept.answers:
            if len(kept.answers) == ANSWERS_LIMIT:
                kept.answers.clear()
            wanted, own, gone = question
            kept.answers[question] = find_alternatives(plan, wanted, own=dict(own), conflicts=gone)
        return kept.answers[question]

    def _keep(self, flight_id: str) -> _Kept:
        """Return the plan of the flight, or the reading of it that is under way, or begin one."""
        now = self._clock()
        kept = self._kept.get(flight_id)
        if kept is None or now - kept.asked_at >= PLAN_AGE_SECONDS or _has_failed(kept.plan):
            kept = _Kept(asyncio.create_task(self._plans.read(flight_id)), now)
            self._kept[flight_id] = kept
            self._kept.move_to_end(flight_id)
            if len(self._kept) > PLANS_LIMIT:
                self._kept.popitem(last=False)
        return kept


def _has_failed(reading: asyncio.Task[SeatPlan]) -> bool:
    return reading.done() and (reading.cancelled() or reading.exception() is not None)
