"""A crowd on an API in memory: its commands, the state that it leaves, and the violations that it detects."""

from __future__ import annotations

import asyncio
import re
from itertools import count
from random import Random
from typing import Any

import httpx
import pytest

from skyhold_local.simulation import crowd as crowds
from skyhold_local.simulation.crowd import Closing, Crowd, CrowdPlan
from skyhold_local.simulation.outcomes import Outcomes, State
from skyhold_local.simulation.trips import Ending, plan_trips
from support.crowds import LONG, a_plan, closed_when, run, stopped_when
from support.small_api import FLIGHT, NUMBER, SmallApi, on, problem, until

pytestmark = pytest.mark.usefixtures("short_patience")

TIMES = {"serverTime": "2026-03-01T12:00:00.000Z", "expiresAt": "2026-03-01T12:15:00.000Z"}


async def test_a_crowd_books_and_leaves_no_order_open() -> None:
    small = SmallApi()

    def have_seen_everything(outcomes: Outcomes) -> bool:
        return bool(outcomes.count(State.DECLINED) and outcomes.count(State.CONFIRMED) and outcomes.changes)

    crowd = await run(small, a_plan(customers=20, pace=20), closed_when(have_seen_everything))

    outcomes = crowd.outcomes
    assert outcomes.orders.total() == len(small.orders)
    assert (outcomes.open_orders, outcomes.violations) == ({}, 0)
    assert outcomes.count(State.CONFIRMED) == sum(order["status"] == "CONFIRMED" for order in small.orders.values())
    assert len(outcomes.sold) == sum(status == "booked" for status in small.seats.values())
    assert "reserved" not in small.seats.values()
    commands = [request for request in small.asked if request.url.path.endswith(("/pay", "/seats"))]
    assert all({"if-match", "idempotency-key", "cookie"} <= set(request.headers) for request in commands)


async def test_it_is_closed_when_its_time_is_over() -> None:
    crowd = await run(SmallApi(), a_plan(customers=3, seconds=0.3))
    assert crowd.closing is Closing.TIME_OVER
    assert crowd.seconds >= 0.3


async def test_when_it_is_closed_nobody_begins_anything_new() -> None:
    small, asked_by_then = SmallApi(), 0

    async def close(crowd: Crowd) -> None:
        nonlocal asked_by_then
        await until(lambda: crowd.outcomes.count(State.HELD) >= 3)
        crowd._close(Closing.TIME_OVER)
        asked_by_then = len(small.asked)

    crowd = await run(small, a_plan(customers=30, pace=1), close)

    assert crowd.closing is Closing.TIME_OVER
    later = [path for method, path, _ in small.commands[asked_by_then:] if method == "POST"]
    assert later
    assert "/api/orders" not in later


async def commands_of(seed: int) -> list[Any]:
    """Return the commands of a single customer; with others the available seats would change the decisions."""
    small = SmallApi(rows=40)
    await run(small, a_plan(customers=1, seed=seed, pace=10_000), stopped_when(lambda _: len(small.asked) > 60))
    return small.commands[:60]


async def test_a_seed_gives_the_same_decisions_again() -> None:
    first, again, other = [await commands_of(seed) for seed in (5, 5, 6)]
    assert first == again
    assert first != other


async def test_when_all_is_sold_there_is_nothing_left_to_do() -> None:
    small = SmallApi(rows=1)
    small.seats |= dict.fromkeys(small.seats, "booked")
    crowd = await run(small, a_plan(customers=5))
    assert crowd.closing is Closing.SOLD_OUT
    assert crowd.outcomes.orders.total() == 0


async def test_who_is_stopped_gives_back_what_they_hold_and_waits_for_what_they_pay() -> None:
    small = SmallApi()

    crowd = await run(
        small, a_plan(customers=20, pace=10), stopped_when(lambda outcomes: outcomes.count(State.HELD) >= 5)
    )

    assert crowd.is_stopped
    assert crowd.outcomes.count(State.RELEASED) >= 5
    assert crowd.outcomes.open_orders == {}
    assert "reserved" not in small.seats.values()


async def test_who_is_stopped_while_they_finish_waits_for_their_payments_and_disturbs_none() -> None:
    small = SmallApi(decides_payments=False)

    async def stop(crowd: Crowd) -> None:
        await until(lambda: crowd.outcomes.count(State.PAYING) >= 3)
        crowd._close(Closing.TIME_OVER)
        crowd.stop()
        await until(lambda: not crowd.outcomes.count(State.HELD))
        for order in small.orders.values():
            if order["status"] == "PAYMENT_PROCESSING":
                small.decide(order, is_approved=True)

    crowd = await run(small, a_plan(customers=20), stop)

    assert crowd.is_stopped
    assert crowd.outcomes.count(State.CONFIRMED) >= 3
    assert crowd.outcomes.open_orders == {}
    assert "PAYMENT_IN_PROGRESS" not in crowd.outcomes.refusals


async def test_who_finds_a_flight_full_takes_the_next_one() -> None:
    other = "550e8400-e29b-41d4-a716-446655440002"
    small = SmallApi(more_flights=({"id": other, "availableSeats": 0},))
    plan = CrowdPlan(5, LONG, {other: "FL102", FLIGHT: NUMBER}, seed=1, pace=50)
    await run(small, plan, stopped_when(lambda outcomes: outcomes.orders.total() > 5))
    assert f"/api/flights/{other}" not in {path for _, path, _ in small.commands}


async def test_who_sees_their_time_run_out_thinks_no_longer() -> None:
    small, times = SmallApi(hold_seconds=0.2), dict[str, float]()

    def note(request: httpx.Request) -> None:
        if request.method == "POST":
            times.setdefault(request.url.path.rpartition("/")[2], asyncio.get_running_loop().time())

    small.fault = note
    await run(small, a_plan(customers=1, seed=2, pace=1), stopped_when(lambda _: "pay" in times))

    assert times["pay"] - times["orders"] < 2, "who has time decides for two seconds at least, and types for one"


async def test_nobody_changes_for_fewer_seats() -> None:
    def take_all_but_one(request: httpx.Request) -> None:
        if request.method == "GET" and small.orders:
            small.seats = dict.fromkeys(small.seats, "reserved") | {"1A": "available"}

    def is_changing_pair(seed: int) -> bool:
        trip = next(plan_trips(Random(f"{seed} 1"), [FLIGHT]))
        return bool(trip.changes) and trip.preference.party > 1

    small = SmallApi(fault=take_all_but_one)
    seed = next(seed for seed in count() if is_changing_pair(seed))
    await run(small, a_plan(customers=1, seed=seed), stopped_when(lambda _: len(small.asked) > 8))
    assert {path for method, path, _ in small.commands if method == "PUT"} == set()
    assert small.orders


async def test_what_has_run_out_is_noted_and_left_alone() -> None:
    def run_out(request: httpx.Request) -> httpx.Response | None:
        if not request.url.path.endswith("/pay"):
            return None
        small._end(small.orders[request.url.path.split("/")[3]], "EXPIRED", "available")
        return problem(409, "ORDER_EXPIRED")

    small = SmallApi(fault=run_out)
    crowd = await run(small, a_plan(), closed_when(lambda outcomes: outcomes.count(State.EXPIRED)))
    assert crowd.outcomes.count(State.EXPIRED) == crowd.outcomes.refusals["ORDER_EXPIRED"] > 0
    cancelled = {path.split("/")[3] for method, path, _ in small.commands if method == "DELETE"}
    assert not cancelled & {order_id for order_id, order in small.orders.items() if order["status"] == "EXPIRED"}


async def test_an_order_that_nobody_told_of_is_cancelled() -> None:
    unknown = problem(503, "WORKFLOW_UNAVAILABLE", outcome="unknown", orderId="order-unknown")
    small = SmallApi(fault=on("POST", "/api/orders", *[unknown] * 1000))
    crowd = await run(small, a_plan(customers=1))
    assert ("DELETE", "/api/orders/order-unknown", None) in small.commands
    assert (crowd.closing, crowd.outcomes.violations) == (Closing.UNREACHABLE, 0)
    assert "503 WORKFLOW_UNAVAILABLE" in crowd.failure


async def test_a_customer_who_met_with_a_surprise_gives_back_what_they_hold() -> None:
    small = SmallApi(fault=on("PUT", ".*/seats", *[problem(500, "INTERNAL")] * 10_000))
    crowd = await run(small, a_plan(customers=20), closed_when(lambda outcomes: outcomes.violations))
    assert crowd.outcomes.violations > 0
    assert "A change was answered 500 INTERNAL (request a-request)." in crowd.outcomes.violation_details
    assert "reserved" not in small.seats.values()


async def test_customers_who_fight_for_seats_take_others_or_leave() -> None:
    small = SmallApi(rows=2)
    small.seats |= dict.fromkeys(list(small.seats)[6:], "reserved")
    crowd = await run(
        small,
        a_plan(customers=30),
        closed_when(lambda outcomes: outcomes.conflicts and outcomes.trips_without_seats),
    )
    assert crowd.outcomes.violations == 0


async def test_most_who_were_too_late_ask_for_what_they_are_offered_instead() -> None:
    offered = ["20C", "20D"]  # which customers do not choose by themselves: there is an aisle between them
    taken = problem(409, "SEATS_UNAVAILABLE", alternatives=[{"seats": offered}, {"seats": ["20A", "20B"]}])
    small = SmallApi(fault=on("POST", "/api/orders", *[taken] * 10))

    def wanted() -> list[list[str]]:
        return [body["seats"] for _, path, body in small.commands if path == "/api/orders"]

    await run(small, a_plan(), stopped_when(lambda _: len(wanted()) >= 20))

    assert 5 < wanted().count(offered) <= 10


async def test_a_seat_that_is_sold_twice_is_noticed() -> None:
    def forget(request: httpx.Request) -> None:
        """Make every sold seat available again."""
        if request.url.path.endswith("/events"):
            small.seats = dict.fromkeys(small.seats, "available")

    small = SmallApi(rows=1, fault=forget)
    crowd = await run(small, a_plan(), closed_when(lambda outcomes: outcomes.violations))
    assert any(re.match(r"Sold twice on flight .*: .*1[A-F]", told) for told in crowd.outcomes.violation_details)


@pytest.mark.parametrize(
    ("way", "path", "answer", "told"),
    [
        ("POST", "/api/orders", problem(404, "FLIGHT_NOT_FOUND"), "A hold was answered 404 FLIGHT_NOT_FOUND"),
        ("POST", "/api/orders", httpx.Response(201, json={}), "reply to a hold does not have the documented form"),
        (
            "POST",
            "/api/orders",
            httpx.Response(201, json={"orderId": "order-1", "seats": ["9F", "9G"], **TIMES}),
            "A hold was answered with other seats",
        ),
        ("PUT", ".*/seats", httpx.Response(200, json={"seats": ["9G"], **TIMES}), "A change was answered with other"),
        ("GET", "/api/flights", httpx.Response(200, json={"flights": 7}), "reply to a look does not have"),
        ("POST", ".*/pay", problem(402, "PAYMENT_DECLINED"), "A payment was answered 402"),
        ("PUT", ".*/seats", httpx.Response(200, json={"seats": ["9F"]}), "a change does not have the documented form"),
    ],
)
async def test_what_no_customer_must_see_is_told(way: str, path: str, answer: httpx.Response, told: str) -> None:
    small = SmallApi(fault=on(way, path, answer))
    crowd = await run(small, a_plan(), closed_when(lambda outcomes: outcomes.violations))
    assert told in crowd.outcomes.violation_details[0]


async def test_other_seats_than_were_bought_are_noticed() -> None:
    small = SmallApi()

    def swap(request: httpx.Request) -> None:
        if request.url.path.endswith("/pay"):
            order = small.orders[request.url.path.split("/")[3]]
            order["seats"] = ["20F"]

    small.fault = swap
    crowd = await run(small, a_plan(customers=5), closed_when(lambda outcomes: outcomes.violations))
    assert "A status was answered with other seats than its order should have." in crowd.outcomes.violation_details


async def test_an_api_that_is_gone_ends_the_crowd() -> None:
    small, asked = SmallApi(), count()

    def vanish(_: httpx.Request) -> None:
        if next(asked) > 100:
            raise httpx.ConnectError("nobody")

    small.fault = vanish
    crowd = await run(small, a_plan(customers=20, pace=20))
    assert crowd.closing is Closing.UNREACHABLE
    assert crowd.outcomes.open_orders


async def test_an_api_that_is_away_for_a_moment_costs_nothing_but_time() -> None:
    small, asked = SmallApi(), count()

    def be_away(_: httpx.Request) -> None:
        if 100 < next(asked) < 110:
            raise httpx.ReadError("restarting")

    small.fault = be_away
    crowd = await run(small, a_plan(customers=20, pace=20), closed_when(lambda _: len(small.asked) > 150))
    assert crowd.outcomes.retries >= 9
    assert (crowd.outcomes.violations, crowd.outcomes.open_orders) == (0, {})


async def test_an_end_is_bounded_even_if_payments_never_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowds, "FINISH_SECONDS", 0.1)
    monkeypatch.setattr(crowds, "RELEASE_SECONDS", 0.2)
    small = SmallApi()

    def never_end(request: httpx.Request) -> httpx.Response | None:
        return httpx.Response(202, json={}) if request.url.path.endswith("/pay") else None

    small.fault = never_end
    crowd = await run(small, a_plan(), closed_when(lambda outcomes: outcomes.count(State.PAYING)))
    assert crowd.outcomes.count(State.PAYING) == len(crowd.outcomes.open_orders) > 0


async def test_no_payment_code_is_in_anything_that_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    small = SmallApi(fault=on("POST", ".*/pay", problem(400, "INVALID_PAYMENT_CODE", retry_after=1)))
    crowd = await run(small, a_plan(customers=20), closed_when(lambda outcomes: outcomes.count(State.CONFIRMED) > 5))

    codes = {body["paymentCode"] for _, path, body in small.commands if path.endswith("/pay")}
    told = " ".join(
        [*crowd.outcomes.violation_details, *crowd.outcomes.recent_events, caplog.text, repr(crowd.outcomes)]
    )
    assert len(codes) > 5
    assert [code for code in codes if re.search(rf"(?<![0-9.]){code}(?![0-9])", told)] == []


async def test_a_customer_who_walked_away_comes_back_and_pays_for_what_is_still_held() -> None:
    def walks_away_and_comes_back(seed: int) -> bool:
        trip = next(plan_trips(Random(f"{seed} 1"), [FLIGHT]))
        return trip.ending is Ending.WALK_AWAY and trip.comes_back

    small, seed = SmallApi(), next(seed for seed in count() if walks_away_and_comes_back(seed))
    crowd = await run(
        small,
        a_plan(customers=1, seed=seed),
        stopped_when(lambda outcomes: outcomes.orders and not outcomes.open_orders),
    )
    assert crowd.outcomes.returns == 1
    commands = [(method, path.rpartition("/")[2]) for method, path, _ in small.commands]
    assert commands.index(("GET", "orders")) < commands.index(("POST", "pay"))


async def test_orders_that_an_operator_cancels_are_counted_and_no_violation() -> None:
    def cancel(request: httpx.Request) -> httpx.Response | None:
        if not request.url.path.endswith("/pay"):
            return None
        small._end(small.orders[request.url.path.split("/")[3]], "FAILED", "available", failureCode="CANCELLED")
        return problem(409, "ORDER_CLOSED")

    small = SmallApi(fault=cancel)
    crowd = await run(small, a_plan(), closed_when(lambda outcomes: outcomes.ended_by_others > 3))
    assert crowd.outcomes.violations == 0
    assert crowd.outcomes.ended_by_others == crowd.outcomes.refusals["ORDER_CLOSED"]


async def test_an_order_that_is_missing_when_its_customer_comes_back_is_reported() -> None:
    def lose(request: httpx.Request) -> httpx.Response | None:
        is_list = (request.method, request.url.path) == ("GET", "/api/orders")
        return httpx.Response(200, json={"orders": []}) if is_list else None

    crowd = await run(SmallApi(fault=lose), a_plan(), closed_when(lambda outcomes: outcomes.violations))
    assert "An own order is missing from the list of the customer's orders." in crowd.outcomes.violation_details
