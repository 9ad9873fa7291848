"""A crowd on an API in memory: what it does, what it leaves behind, and what it notices."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from itertools import count
from typing import Any

import httpx
import pytest

from skyhold.simulation import crowd as crowds
from skyhold.simulation.crowd import Closing, Crowd, CrowdPlan
from skyhold.simulation.guests import Api
from skyhold.simulation.outcomes import State
from support.small_api import FLIGHT, NUMBER, SmallApi, on, problem, until

pytestmark = pytest.mark.usefixtures("short_patience")

LONG = 3600.0


def a_plan(customers: int = 10, seconds: float = 0.5, seed: int = 1, pace: float = 50.0) -> CrowdPlan:
    return CrowdPlan(customers, seconds, {FLIGHT: NUMBER}, seed, pace)


async def run(small: SmallApi, plan: CrowdPlan, *, meanwhile: Callable[[Crowd], Any] | None = None) -> Crowd:
    async with Api("http://skyhold.test", transport=small.transport) as api, asyncio.timeout(30):
        crowd = Crowd(api, plan)
        if meanwhile is None:
            await crowd.run()
        else:
            await asyncio.gather(crowd.run(), meanwhile(crowd))
    return crowd


async def test_a_crowd_books_and_leaves_no_order_open() -> None:
    small = SmallApi()
    crowd = await run(small, a_plan(customers=20, seconds=1))

    outcomes = crowd.outcomes
    assert crowd.closing in {Closing.TIME_OVER, Closing.SOLD_OUT}
    assert len(outcomes.states) == len(small.orders) > 20
    assert outcomes.open_orders == outcomes.surprises == 0
    assert outcomes.count(State.CONFIRMED) == sum(order["status"] == "CONFIRMED" for order in small.orders.values())
    assert len(outcomes.sold) == sum(status == "booked" for status in small.seats.values())
    assert outcomes.count(State.DECLINED) > 0
    assert outcomes.changes > 0
    assert "reserved" not in small.seats.values()


async def test_a_seed_gives_the_same_decisions_again() -> None:
    asked = []
    for seed in (5, 5, 6):
        small = SmallApi(rows=40)
        # Alone and without haste, for what others take changes what is there to be decided upon.
        await run(small, a_plan(customers=1, seconds=LONG, seed=seed, pace=10_000), meanwhile=stop_after(small, 60))
        asked.append(small.commands[:60])
    assert asked[0] == asked[1]
    assert asked[0] != asked[2]


def stop_after(small: SmallApi, many: int) -> Callable[[Crowd], Any]:
    async def stop(crowd: Crowd) -> None:
        await until(lambda: len(small.asked) >= many)
        crowd.leave()

    return stop


async def test_when_all_is_sold_there_is_nothing_left_to_do() -> None:
    small = SmallApi(rows=1)
    small.seats |= dict.fromkeys(small.seats, "booked")
    crowd = await run(small, a_plan(customers=5, seconds=LONG))
    assert crowd.closing is Closing.SOLD_OUT
    assert crowd.outcomes.states == {}


async def test_who_is_stopped_gives_back_what_they_hold_and_waits_for_what_they_pay() -> None:
    small = SmallApi()

    async def stop(crowd: Crowd) -> None:
        await until(lambda: crowd.outcomes.count(State.HELD) >= 5)
        crowd.leave()

    crowd = await run(small, a_plan(customers=20, seconds=LONG, pace=10), meanwhile=stop)

    assert crowd.is_stopped
    assert crowd.outcomes.count(State.LET_GO) >= 5
    assert crowd.outcomes.open_orders == 0
    assert "reserved" not in small.seats.values()


async def test_a_customer_who_met_with_a_surprise_gives_back_what_they_hold() -> None:
    small = SmallApi(fault=on("PUT", ".*/seats", *[problem(500, "INTERNAL")] * 10_000))
    crowd = await run(small, a_plan(customers=20, seconds=0.4, pace=200))
    assert crowd.outcomes.surprises > 0
    assert "A change was answered 500 INTERNAL (request a-request), again and again." in crowd.outcomes.told_surprises
    assert "reserved" not in small.seats.values()


async def test_customers_who_fight_for_seats_take_others_or_leave() -> None:
    small = SmallApi(rows=2)
    small.seats |= dict.fromkeys(list(small.seats)[6:], "reserved")
    crowd = await run(small, a_plan(customers=30, seconds=0.5, pace=100))
    assert crowd.outcomes.conflicts > 0
    assert crowd.outcomes.trips_without_seats > 0
    assert crowd.outcomes.surprises == 0


async def test_a_seat_that_is_sold_twice_is_noticed() -> None:
    def forget(request: httpx.Request) -> None:
        """Make every seat free again that was sold."""
        if request.url.path.endswith("/events"):
            small.seats = dict.fromkeys(small.seats, "available")

    small = SmallApi(rows=1, fault=forget)
    crowd = await run(small, a_plan(customers=10, seconds=0.4, pace=200))
    assert any(re.match(r"Sold twice on flight .*: .*1[A-F]", told) for told in crowd.outcomes.told_surprises)


@pytest.mark.parametrize(
    ("way", "path", "answer", "told"),
    [
        ("POST", "/api/orders", problem(404, "FLIGHT_NOT_FOUND"), "A hold was answered 404 FLIGHT_NOT_FOUND"),
        ("POST", "/api/orders", httpx.Response(201, json={}), "answered a hold is not of the form"),
        ("GET", "/api/flights", httpx.Response(200, json={"flights": 7}), "answered a look is not of the form"),
        ("POST", ".*/pay", problem(402, "PAYMENT_DECLINED"), "A payment was answered 402"),
        ("PUT", ".*/seats", httpx.Response(200, json={"seats": ["9F"]}), "a change is not of the form"),
    ],
)
async def test_what_no_customer_must_see_is_told(way: str, path: str, answer: httpx.Response, told: str) -> None:
    crowd = await run(SmallApi(fault=on(way, path, answer)), a_plan(customers=10, seconds=0.4, pace=200))
    assert crowd.outcomes.surprises == 1
    assert told in crowd.outcomes.told_surprises[0]


async def test_other_seats_than_were_bought_are_noticed() -> None:
    small = SmallApi()

    def swap(request: httpx.Request) -> None:
        if request.url.path.endswith("/pay"):
            order = small.orders[request.url.path.split("/")[3]]
            order["seats"] = ["20F"]

    small.fault = swap
    crowd = await run(small, a_plan(customers=5, seconds=0.5))
    assert "A status was answered with other seats than its order should have." in crowd.outcomes.told_surprises


async def test_an_api_that_is_gone_ends_the_crowd() -> None:
    small, asked = SmallApi(), count()

    def vanish(_: httpx.Request) -> None:
        if next(asked) > 100:
            raise httpx.ConnectError("nobody")

    small.fault = vanish
    crowd = await run(small, a_plan(customers=20, seconds=LONG, pace=20))
    assert crowd.closing is Closing.UNREACHABLE
    assert crowd.outcomes.open_orders > 0


async def test_an_api_that_is_away_for_a_moment_costs_nothing_but_time() -> None:
    small, asked = SmallApi(), count()

    def be_away(_: httpx.Request) -> None:
        if 100 < next(asked) < 110:
            raise httpx.ReadError("restarting")

    small.fault = be_away
    crowd = await run(small, a_plan(customers=20, seconds=1, pace=20))
    assert crowd.closing is Closing.TIME_OVER
    assert crowd.outcomes.retries >= 9
    assert (crowd.outcomes.surprises, crowd.outcomes.open_orders) == (0, 0)


async def test_an_end_is_bounded_even_if_payments_never_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowds, "FINISH_SECONDS", 0.1)
    monkeypatch.setattr(crowds, "LET_GO_SECONDS", 0.2)
    small = SmallApi()

    def never_end(request: httpx.Request) -> httpx.Response | None:
        return httpx.Response(202, json={}) if request.url.path.endswith("/pay") else None

    small.fault = never_end
    crowd = await run(small, a_plan(customers=10, seconds=0.5))
    assert crowd.outcomes.count(State.PAYING) == crowd.outcomes.open_orders > 0


def test_many_come_at_once_and_the_last_ones_later() -> None:
    arrivals = CrowdPlan(customers=30, seconds=60.0, flights={}, seed=1).arrivals()
    assert arrivals[0] == 0
    assert sum(at <= 2 for at in arrivals) >= 8
    assert list(arrivals) == sorted(arrivals)
    assert 15 < arrivals[-1] < 24
    assert CrowdPlan(customers=5, seconds=2.0, flights={}, seed=1).arrivals()[-1] < 1


async def test_no_payment_code_is_in_anything_that_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    small = SmallApi(fault=on("POST", ".*/pay", problem(400, "INVALID_PAYMENT_CODE", retry_after=1)))
    crowd = await run(small, a_plan(customers=20, seconds=1))

    codes = {body["paymentCode"] for _, path, body in small.commands if path.endswith("/pay")}
    told = " ".join([*crowd.outcomes.told_surprises, *crowd.outcomes.news, caplog.text, repr(crowd.outcomes)])
    assert len(codes) > 5
    assert [code for code in codes if re.search(rf"(?<![0-9.]){code}(?![0-9])", told)] == []
