"""Suggested seats and alternatives: maximum age, number of queries, and the limit of a refusal's wait for them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from skyhold.domain.alternatives import Alternative
from skyhold.domain.errors import DatabaseUnavailable, FlightNotFound, InvalidSeats
from skyhold.domain.seat_plans import CabinLayout, PlacedSeat, SeatPlan
from skyhold.domain.seats import SeatStatus
from skyhold.queries.seat_plans import FlightPlan
from skyhold.web.api import seat_search
from skyhold.web.api.seat_search import SeatSearch, SeatsWanted

FLIGHT = "550e8400-e29b-41d4-a716-446655440001"
TAKEN_14B = [{"seat": "14B", "status": "reserved"}]
OWN_14A_14C = {"14A": 35000, "14C": 35000}


@dataclass
class Ledger:
    """Stands in for the queries: counts its calls, and answers when the test lets it."""

    taken: set[str] = field(default_factory=set)
    error: Exception | None = None
    is_missing: bool = False
    has_departed: bool = False
    asked: list[str] = field(default_factory=list)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self, flight_id: str) -> FlightPlan | None:
        self.asked.append(flight_id)
        await self.may_answer.wait()
        if self.error:
            raise self.error
        if self.is_missing:
            return None
        seats = [
            PlacedSeat(f"{row}{letter}", row, letter, "economy", self._status_of(f"{row}{letter}"), 35000)
            for row in (14, 15)
            for letter in "ABC"
        ]
        plan = SeatPlan(seats, [CabinLayout("economy", 14, 15, "ABC")])
        return FlightPlan(plan, "USD", self.has_departed)

    def _status_of(self, seat: str) -> SeatStatus:
        return SeatStatus.BOOKED if seat in self.taken else SeatStatus.AVAILABLE


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def over(ledger: Ledger, clock: Clock | None = None, *, is_open: bool = True) -> SeatSearch:
    if is_open:
        ledger.may_answer.set()
    return SeatSearch(cast("Any", ledger), clock=clock or Clock())


async def seats_for(hints: SeatSearch, *wanted: str, flight: str = FLIGHT, own: tuple[str, ...] = ()) -> list[str]:
    conflicts = [{"seat": seat, "status": "reserved"} for seat in wanted]
    return [
        " ".join(each.seats) for each in await hints.alternatives(flight, wanted, dict.fromkeys(own, 35000), conflicts)
    ]


async def test_alternatives_are_those_of_the_domain() -> None:
    found = await over(Ledger(taken={"14A"})).alternatives(FLIGHT, ["14B"], {}, TAKEN_14B)
    assert found == tuple(Alternative((seat,), 35000) for seat in ("14C", "15B", "15C"))


async def test_seats_of_the_asking_order_count_as_free() -> None:
    hints = over(Ledger(taken={"14A", "14B", "14C", "15A", "15B", "15C"}))
    assert await seats_for(hints, "14B") == []
    found = await hints.alternatives(FLIGHT, ["14B", "14C"], OWN_14A_14C, TAKEN_14B)
    assert found == (), "what the order holds already is no news to it"
    found = await hints.alternatives(FLIGHT, ["14B"], OWN_14A_14C, TAKEN_14B)
    assert [each.seats for each in found] == [("14C",), ("14A",)]


async def test_a_plan_is_read_once_a_second_and_what_was_just_learnt_goes_before_it() -> None:
    ledger, clock = Ledger(), Clock()
    hints = over(ledger, clock)
    assert "14C" in await seats_for(hints, "14B")
    ledger.taken = {"14C"}
    clock.now = 0.9
    assert "14C" in await seats_for(hints, "14B"), "a hint may be a second old"
    assert "14C" not in await seats_for(hints, "14C"), "but never offers what was just refused"
    clock.now = 1.0
    assert "14C" not in await seats_for(hints, "14B")
    assert len(ledger.asked) == 2


async def test_all_who_ask_at_once_share_one_look_at_the_ledger() -> None:
    ledger = Ledger()
    hints = over(ledger, is_open=False)
    asking = [asyncio.create_task(seats_for(hints, "14B")) for _ in range(20)]
    await asyncio.sleep(0)
    asking[0].cancel()
    await asyncio.sleep(0)
    ledger.may_answer.set()
    assert all(await asyncio.gather(*asking[1:])), "one who left took nothing from the others"
    assert len(ledger.asked) == 1


async def test_without_the_ledger_there_is_no_hint_and_the_next_one_is_asked_for_anew() -> None:
    ledger = Ledger(error=DatabaseUnavailable())
    hints = over(ledger)
    assert await seats_for(hints, "14B") == []
    ledger.error = None
    assert await seats_for(hints, "14B") != []


async def test_nobody_waits_long_for_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seat_search, "SEARCH_TIMEOUT_SECONDS", 0.02)
    ledger = Ledger()
    hints = over(ledger, is_open=False)
    assert await seats_for(hints, "14B") == []
    ledger.may_answer.set()
    assert await seats_for(hints, "14B") != []
    assert len(ledger.asked) == 1, "who comes later waits for the look that is under way"


async def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seat_search, "PLANS_LIMIT", 2)
    monkeypatch.setattr(seat_search, "ANSWERS_LIMIT", 1)
    ledger = Ledger()
    hints = over(ledger)
    for flight in ("a", "b", "a", "c", "b"):
        for seat in ("14B", "14C"):
            assert await seats_for(hints, seat, flight=flight)
    assert ledger.asked == ["a", "b", "c", "b"], "the flight that was used least recently makes room"


async def test_suggestions_share_the_plan_and_their_answers() -> None:
    ledger = Ledger(taken={"14A"})
    search = over(ledger)
    wanted = SeatsWanted(2)
    currency, found = await search.suggestions(FLIGHT, wanted)
    assert (currency, found[0].seats) == ("USD", ("14B", "14C"))
    assert (await search.suggestions(FLIGHT, SeatsWanted(2)))[1] is found, "equal wishes are answered once"
    assert (await search.suggestions(FLIGHT, SeatsWanted(2), {"14A": 100}))[1] != found
    await seats_for(search, "14B")
    assert ledger.asked == [FLIGHT]


async def test_only_a_flight_that_can_still_be_booked_has_suggestions() -> None:
    assert await over(Ledger(has_departed=True)).suggestions(FLIGHT, SeatsWanted(1)) == ("USD", ())
    with pytest.raises(FlightNotFound):
        await over(Ledger(is_missing=True)).suggestions(FLIGHT, SeatsWanted(1))
    with pytest.raises(InvalidSeats):
        await over(Ledger()).suggestions(FLIGHT, SeatsWanted(1, near="99K"))
    with pytest.raises(DatabaseUnavailable):
        await over(Ledger(error=DatabaseUnavailable())).suggestions(FLIGHT, SeatsWanted(1))
    assert await seats_for(over(Ledger(is_missing=True)), "14B") == []
