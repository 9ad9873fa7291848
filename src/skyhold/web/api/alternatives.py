"""Alternative seats for a customer whose seats are no longer available, from seat plans that are briefly cached.

Owns how old a plan may be and how many are cached; the domain chooses the seats.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from cachetools import LRUCache, TTLCache

from skyhold.domain.alternatives import Alternative, find_alternatives
from skyhold.domain.errors import DatabaseUnavailable
from skyhold.domain.seat_plans import SeatPlan
from skyhold.queries.seat_plans import SeatPlanQueries

PLAN_AGE_SECONDS = 1.0
"""A plan older than this is read again. A hint may be stale: the ledger decides."""

SEARCH_TIMEOUT_SECONDS = 0.5
"""Longest wait of a refusal for its alternatives."""

PLANS_LIMIT = 200
ANSWERS_LIMIT = 500
"""Answers cached for each plan: customers who lose the same seats at the same moment need the same alternatives."""

Question = tuple[frozenset[str], frozenset[tuple[str, int]], frozenset[str]]
"""The wanted seats, the held seats with their prices in cents, and the unavailable seats."""


@dataclass
class _Kept:
    """A plan, being read or complete, with its answers; its age counts from the start of the read."""

    plan: asyncio.Task[SeatPlan]
    answers: LRUCache[Question, tuple[Alternative, ...]] = field(default_factory=lambda: LRUCache(ANSWERS_LIMIT))


class Alternatives:
    """Finds alternative seats; reads a flight's seats at most once a second, however many requests need them."""

    def __init__(self, plans: SeatPlanQueries, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._plans = plans
        self._kept: TTLCache[str, _Kept] = TTLCache(PLANS_LIMIT, PLAN_AGE_SECONDS, timer=clock)

    async def alternatives_for(
        self,
        flight_id: str,
        wanted: Collection[str],
        own_prices: Mapping[str, int] = MappingProxyType({}),
        conflicts: Collection[Mapping[str, str]] = (),
    ) -> list[dict[str, Any]]:
        """Return sets of seats that could be booked instead, in the form of a problem's `alternatives`.

        `flight_id` is in the ledger's spelling; `own_prices` are in cents, by the seats that the order holds: a seat
        that it keeps does not change its price. `conflicts` are those of the refusal. The list is empty if PostgreSQL
        is unavailable or slow: a hint is not worth a wait.
        """
        question = (frozenset(wanted), frozenset(own_prices.items()), frozenset(fact["seat"] for fact in conflicts))
        try:
            async with asyncio.timeout(SEARCH_TIMEOUT_SECONDS):
                found = await self._answer(flight_id, question)
        except (TimeoutError, DatabaseUnavailable):
            return []
        return [{"seats": list(each.seats), "totalPriceCents": each.total_cents} for each in found]

    async def _answer(self, flight_id: str, question: Question) -> tuple[Alternative, ...]:
        kept = self._keep(flight_id)
        # Shielded, because other requests wait for it too.
        plan = await asyncio.shield(kept.plan)
        if question not in kept.answers:
            wanted, own, gone = question
            kept.answers[question] = find_alternatives(plan, wanted, own=dict(own), conflicts=gone)
        return kept.answers[question]

    def _keep(self, flight_id: str) -> _Kept:
        """Return the flight's cached plan or the read in progress, or start a read."""
        kept = self._kept.get(flight_id)
        if kept is None or _has_failed(kept.plan):
            kept = self._kept[flight_id] = _Kept(asyncio.create_task(self._plans.read(flight_id)))
        return kept


def _has_failed(reading: asyncio.Task[SeatPlan]) -> bool:
    return reading.done() and (reading.cancelled() or reading.exception() is not None)
