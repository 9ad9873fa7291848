"""Crowds in which some lie, lose replies, come back, or fight: what they do, and what they notice."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import count
from random import Random

import httpx
import pytest

from skyhold_local.simulation.crowd import Closing
from skyhold_local.simulation.fights import Fight
from skyhold_local.simulation.lies import ATTEMPTS, Lie, Moment
from skyhold_local.simulation.outcomes import Outcomes
from skyhold_local.simulation.retries import Mishap
from skyhold_local.simulation.trips import Ending, plan_trips
from skyhold_local.simulation.whims import HONEST, draw_whims
from support.crowds import a_plan, closed_when, run, stopped_when
from support.small_api import FLIGHT, SmallApi, problem

pytestmark = pytest.mark.usefixtures("short_patience")


async def test_liars_are_counted_and_book_like_anyone() -> None:
    small = SmallApi()

    def have_lied_at_every_moment(outcomes: Outcomes) -> bool:
        return {ATTEMPTS[lie].moment for lie in outcomes.lies_refused} == set(Moment)

    crowd = await run(small, a_plan(customers=20, pace=20, liars=50), closed_when(have_lied_at_every_moment))

    outcomes = crowd.outcomes
    assert outcomes.lies_told == outcomes.lies_refused
    assert (outcomes.open_orders, outcomes.surprises, outcomes.troubles) == ({}, 0, Counter())
    assert outcomes.orders.total() == len(small.orders)
    assert "reserved" not in small.seats.values()


async def test_a_lie_that_succeeds_is_what_nobody_must_see() -> None:
    small = SmallApi(is_gullible=True)
    crowd = await run(small, a_plan(liars=100), closed_when(lambda outcomes: outcomes.surprises))
    assert crowd.outcomes.lies_told.total() > crowd.outcomes.lies_refused.total()
    assert "The lie " in crowd.outcomes.told_surprises[0]


async def test_a_lie_that_changes_an_order_of_the_liars_own_is_noticed() -> None:
    def obey_and_refuse(request: httpx.Request) -> httpx.Response | None:
        if request.headers.get("If-Match") != '"999999999"':
            return None
        small.decide(small.orders[request.url.path.split("/")[3]], is_approved=True)
        return problem(412, "ORDER_CHANGED")

    small = SmallApi(fault=obey_and_refuse)
    crowd = await run(small, a_plan(customers=30, liars=100), closed_when(lambda outcomes: outcomes.surprises))
    assert "An order that nobody paid for became CONFIRMED." in crowd.outcomes.told_surprises
    assert crowd.outcomes.lies_told[Lie.STALE_TAG] > crowd.outcomes.lies_refused[Lie.STALE_TAG] == 0


async def test_a_liar_who_walked_away_from_seats_does_not_take_their_own_order_for_anothers() -> None:
    """Alone, so that every open order is their own."""
    small = SmallApi()
    others = {Lie.READ_ANOTHERS, Lie.CHANGE_ANOTHERS, Lie.PAY_ANOTHERS, Lie.CANCEL_ANOTHERS}

    def have_lied_beside_a_hold(outcomes: Outcomes) -> bool:
        return len(others & set(outcomes.lies_refused)) == 4 and outcomes.lies_refused.total() > 40

    plan = a_plan(customers=1, seed=2, pace=10_000, liars=100)
    crowd = await run(
        small, plan, stopped_when(lambda outcomes: have_lied_beside_a_hold(outcomes) or outcomes.surprises)
    )
    assert crowd.outcomes.told_surprises == []
    assert crowd.outcomes.lies_refused[Lie.PAY_ANOTHERS] > 0


async def test_shaky_lines_cost_nobody_a_second_order() -> None:
    small = SmallApi()
    crowd = await run(
        small,
        a_plan(customers=20, pace=20, shaky=100),
        closed_when(lambda outcomes: min(outcomes.mishaps[mishap] for mishap in Mishap) > 10),
    )
    outcomes = crowd.outcomes
    assert outcomes.orders.total() == len(small.orders)
    assert (outcomes.open_orders, outcomes.surprises, outcomes.retries) == ({}, 0, 0)
    assert "reserved" not in small.seats.values()


async def test_an_api_that_forgets_keys_is_found_out() -> None:
    small = SmallApi(forgets_keys=True)
    crowd = await run(small, a_plan(shaky=100), closed_when(lambda outcomes: outcomes.surprises))
    assert "asked" in crowd.outcomes.told_surprises[0]


async def test_who_walked_away_comes_back_and_pays_for_what_they_still_hold() -> None:
    def walks_away_and_comes_back(seed: int) -> bool:
        trip = next(plan_trips(Random(f"{seed} 1"), [FLIGHT]))
        return trip.ending is Ending.WALK_AWAY and next(draw_whims(Random(f"{seed} 1 whims"), HONEST)).comes_back

    small, seed = SmallApi(), next(seed for seed in count() if walks_away_and_comes_back(seed))
    crowd = await run(
        small,
        a_plan(customers=1, seed=seed),
        stopped_when(lambda outcomes: outcomes.orders and not outcomes.open_orders),
    )
    assert crowd.outcomes.returns == 1
    commands = [(method, path.rpartition("/")[2]) for method, path, _ in small.commands]
    assert commands.index(("GET", "orders")) < commands.index(("POST", "pay"))


async def test_orders_that_an_operator_cancels_are_counted_and_no_surprise() -> None:
    def cancel(request: httpx.Request) -> httpx.Response | None:
        if not request.url.path.endswith("/pay"):
            return None
        small._end(small.orders[request.url.path.split("/")[3]], "FAILED", "available", failureCode="CANCELLED")
        return problem(409, "ORDER_CLOSED")

    small = SmallApi(fault=cancel)
    crowd = await run(small, a_plan(), closed_when(lambda outcomes: outcomes.ended_by_others > 3))
    assert crowd.outcomes.surprises == 0
    assert crowd.outcomes.ended_by_others == crowd.outcomes.refusals["ORDER_CLOSED"]


async def test_an_order_that_is_gone_when_its_customer_comes_back_is_noticed() -> None:
    def lose(request: httpx.Request) -> httpx.Response | None:
        is_list = (request.method, request.url.path) == ("GET", "/api/orders")
        return httpx.Response(200, json={"orders": []}) if is_list else None

    crowd = await run(SmallApi(fault=lose), a_plan(), closed_when(lambda outcomes: outcomes.surprises))
    assert "An order of one's own is missing from the list of them." in crowd.outcomes.told_surprises


async def test_a_fight_ends_when_its_seats_are_sold_and_everybody_was_told() -> None:
    small = SmallApi()
    fight = Fight.over(FLIGHT, small._seat_map(), 5, seed=3)
    plan = replace(a_plan(customers=40, pace=20, liars=10, shaky=10), fight=fight)

    crowd = await run(small, plan)

    outcomes = crowd.outcomes
    assert crowd.closing is Closing.SOLD_OUT
    assert {seat for seat, status in small.seats.items() if status != "available"} == fight.seats
    assert {seat for _, seat in outcomes.sold} == fight.seats
    assert 1 < len(outcomes.winners) <= 5
    assert len(outcomes.holders | outcomes.told_no) == 40
    assert outcomes.latencies()["refusal"].count == outcomes.conflicts >= 35
    assert (outcomes.open_orders, outcomes.surprises) == ({}, 0)
