"""Suggested seats, and alternatives to seats that are no longer available, from seat plans that are briefly cached.

Owns how old a plan may be and how many are cached; the domain chooses the seats.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from cachetools import LRUCache, TTLCache

from skyhold.domain.alternatives import Alternative, find_alternatives, find_suggestions
from skyhold.domain.errors import DatabaseUnavailable, FlightNotFound, InvalidSeats
from skyhold.domain.seat_plans import SeatPlan
from skyhold.queries.seat_plans import FlightPlan, SeatPlanQueries

PLAN_AGE_SECONDS = 1.0
"""A plan older than this is read again. A hint may be stale: the ledger decides."""

SEARCH_TIMEOUT_SECONDS = 0.5
"""Longest wait of a refusal for its alternatives."""

PLANS_LIMIT = 200
ANSWERS_LIMIT = 500
"""Answers cached for each plan: customers who ask the same at the same moment need the same seats."""


@dataclass(frozen=True)
class SeatsWanted:
    """How many seats a customer wants to be suggested, near which one, and which ones only."""

    count: int
    near: str | None = None
    is_exit_row: bool = False
    prices: frozenset[int] = frozenset()
    kinds: frozenset[str] = frozenset()


@dataclass
class _Kept:
    """A plan, being read or complete, with its answers; its age counts from the start of the read."""

    plan: asyncio.Task[FlightPlan | None]
    answers: LRUCache[Hashable, tuple[Alternative, ...]] = field(default_factory=lambda: LRUCache(ANSWERS_LIMIT))

    def answer(self, question: Hashable, find: Callable[[], tuple[Alternative, ...]]) -> tuple[Alternative, ...]:
        """Return the cached answer, or find it."""
        if question not in self.answers:
            self.answers[question] = find()
        return self.answers[question]


class SeatSearch:
    """Finds seats; reads a flight's seats at most once a second, however many requests need them."""

    def __init__(self, plans: SeatPlanQueries, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._plans = plans
        self._kept: TTLCache[str, _Kept] = TTLCache(PLANS_LIMIT, PLAN_AGE_SECONDS, timer=clock)

    async def alternatives(
        self,
        flight_id: str,
        wanted: Collection[str],
        own_prices: Mapping[str, int] = MappingProxyType({}),
        conflicts: Collection[Mapping[str, str]] = (),
    ) -> tuple[Alternative, ...]:
        """Return sets of seats that could be booked instead.

        `flight_id` is in the ledger's spelling; `own_prices` are in cents, by the seats that the order holds: a seat
        that it keeps does not change its price. `conflicts` are those of the refusal. Empty if PostgreSQL is
        unavailable or slow: a hint is not worth a wait.
        """
        gone = frozenset(fact["seat"] for fact in conflicts)
        question = (frozenset(wanted), frozenset(own_prices.items()), gone)
        try:
            async with asyncio.timeout(SEARCH_TIMEOUT_SECONDS):
                plan, kept = await self._plan(flight_id)
        except (TimeoutError, DatabaseUnavailable, FlightNotFound):
            return ()
        return kept.answer(question, lambda: find_alternatives(plan.seats, wanted, own=own_prices, conflicts=gone))

    async def suggestions(
        self, flight_id: str, wanted: SeatsWanted, own_prices: Mapping[str, int] = MappingProxyType({})
    ) -> tuple[str, tuple[Alternative, ...]]:
        """Return the flight's currency, and sets of seats to choose from: none once it has departed.

        Raises:
            FlightNotFound: there is no such flight.
            InvalidSeats: there is no such seat on it as the one to be near.
            DatabaseUnavailable: PostgreSQL does not answer.
        """
        plan, kept = await self._plan(flight_id)
        if wanted.near is not None and wanted.near not in plan.seats.numbers:
            unknown = {"seat": wanted.near, "detail": "is not on this aircraft"}
            raise InvalidSeats(f"Not on this aircraft: {wanted.near}.", seats=[unknown])
        if plan.has_departed:
            return plan.currency, ()
        question = (wanted, frozenset(own_prices.items()))
        return plan.currency, kept.answer(question, lambda: _suggest(plan.seats, wanted, own_prices))

    async def _plan(self, flight_id: str) -> tuple[FlightPlan, _Kept]:
        kept = self._keep(flight_id)
        # Shielded, because other requests wait for it too.
        plan = await asyncio.shield(kept.plan)
        if plan is None:
            raise FlightNotFound
        return plan, kept

    def _keep(self, flight_id: str) -> _Kept:
        """Return the flight's cached plan or the read in progress, or start a read."""
        kept = self._kept.get(flight_id)
        if kept is None or _has_failed(kept.plan):
            kept = self._kept[flight_id] = _Kept(asyncio.create_task(self._plans.read(flight_id)))
        return kept


def _suggest(plan: SeatPlan, wanted: SeatsWanted, own: Mapping[str, int]) -> tuple[Alternative, ...]:
    among = plan.matching(is_exit_row=wanted.is_exit_row, prices=wanted.prices, kinds=wanted.kinds)
    return find_suggestions(plan, wanted.count, near=wanted.near, own=own, among=among)


def _has_failed(reading: asyncio.Task[FlightPlan | None]) -> bool:
    return reading.done() and (reading.cancelled() or reading.exception() is not None)
