"""A simulated customer's requests: with the customer's cookie, with keys, and retried without an answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from time import perf_counter
from typing import Any

import httpx
import pytest

from skyhold_local.simulation import guests
from skyhold_local.simulation.connections import Api
from skyhold_local.simulation.guests import Guest
from skyhold_local.simulation.orders import OwnOrder
from skyhold_local.simulation.pauses import CrowdStopped, Pauses
from skyhold_local.simulation.replies import Act, ContractViolation, Refused, Reply, Unreachable
from support.small_api import FLIGHT, SmallApi, on, problem, until

UNKNOWN = problem(503, "WORKFLOW_UNAVAILABLE", outcome="unknown", orderId="order-unknown")
AWAY = problem(503, "DATABASE_UNAVAILABLE")

pytestmark = pytest.mark.usefixtures("short_patience")


@pytest.fixture
def small() -> SmallApi:
    return SmallApi()


@pytest.fixture
async def api(small: SmallApi) -> AsyncIterator[Api]:
    async with Api("http://skyhold.test", transport=small.transport) as api:
        yield api


@pytest.fixture
def guest(api: Api) -> Guest:
    return Guest(api, Pauses())


@pytest.fixture
def hasty(api: Api) -> Guest:
    """A guest with a short retry time."""
    return Guest(api, Pauses(retry_seconds=0.2))


async def hold(guest: Guest, *seats: str) -> Reply:
    return await guest.send(Act.HOLD, "POST", "/api/orders", {"flightId": FLIGHT, "seats": seats})


def names(small: SmallApi) -> list[str | None]:
    return [request.headers.get("Idempotency-Key") for request in small.asked]


async def test_every_customer_is_a_guest_of_their_own(api: Api, small: SmallApi) -> None:
    one, other = Guest(api, Pauses()), Guest(api, Pauses())
    first = (await hold(one, "1A")).body["orderId"]
    second = (await hold(other, "1B")).body["orderId"]

    assert (await one.status(first))["seats"] == ["1A"]
    assert (await other.status(second))["seats"] == ["1B"]
    with pytest.raises(ContractViolation, match="404 ORDER_NOT_FOUND"):
        await one.status(second)
    assert len(set(small.owners.values())) == 2


async def test_each_command_has_a_name_and_looking_has_none(guest: Guest, small: SmallApi) -> None:
    order = (await hold(guest, "1A")).body["orderId"]
    await guest.send(Act.CHANGE, "PUT", f"/api/orders/{order}/seats", {"seats": ["1B"]}, if_match='"1"')
    await guest.status(order)

    first, second, third = names(small)
    assert first
    assert second
    assert first != second
    assert len(first) >= 16
    assert third is None
    assert small.asked[1].headers["If-Match"] == '"1"'


@pytest.mark.parametrize("lost", [httpx.ReadError("gone"), httpx.ConnectError("nobody"), UNKNOWN, AWAY])
async def test_what_was_not_answered_is_asked_again_under_the_same_name(
    guest: Guest, small: SmallApi, lost: httpx.Response | Exception
) -> None:
    small.fault = on("POST", "/api/orders", lost, lost)

    reply = await hold(guest, "1A")

    assert reply.body["seats"] == ["1A"]
    assert len(names(small)) == 3
    assert len(set(names(small))) == 1
    assert guest.take_failures().total() == 2
    assert guest.take_failures().total() == 0
    assert guest.uncertain_order_ids == set()


async def test_what_was_given_up_is_asked_anew(guest: Guest, small: SmallApi) -> None:
    small.fault = on("POST", "/api/orders", UNKNOWN, problem(409, "DEADLINE_EXCEEDED"))

    await hold(guest, "1A")

    first, second, third = names(small)
    assert first == second != third


async def test_patience_ends_when_nobody_answers(hasty: Guest, small: SmallApi) -> None:
    small.fault = on("POST", "/api/orders", *[httpx.ConnectError("nobody")] * 1000)
    with pytest.raises(Unreachable):
        await hold(hasty, "1A")
    assert hasty.is_retrying
    assert len(small.asked) > 3


async def test_a_server_that_stays_away_is_no_surprise_and_the_order_may_exist(hasty: Guest, small: SmallApi) -> None:
    small.fault = on("POST", "/api/orders", UNKNOWN, *[AWAY] * 1000)
    with pytest.raises(Unreachable, match="503 DATABASE_UNAVAILABLE"):
        await hold(hasty, "1A")
    assert hasty.uncertain_order_ids == {"order-unknown"}
    assert hasty.take_failures().keys() == {"503 WORKFLOW_UNAVAILABLE", "503 DATABASE_UNAVAILABLE"}


@pytest.mark.parametrize("answer", [problem(500, "INTERNAL"), httpx.Response(503, text="<html>")])
async def test_a_server_that_stays_broken_is_a_surprise(hasty: Guest, small: SmallApi, answer: httpx.Response) -> None:
    small.fault = on("POST", "/api/orders", *[answer] * 1000)
    with pytest.raises(ContractViolation, match=f"A hold was answered {answer.status_code}"):
        await hold(hasty, "1A")


async def test_what_is_given_up_again_and_again_is_a_surprise(hasty: Guest, small: SmallApi) -> None:
    small.fault = on("POST", "/api/orders", *[problem(409, "DEADLINE_EXCEEDED")] * 1000)
    with pytest.raises(ContractViolation, match="refused as DEADLINE_EXCEEDED until the retry time was over"):
        await hold(hasty, "1A")


async def test_who_waits_for_a_connection_knows_for_how_long(api: Api, guest: Guest) -> None:
    connections = [api._free_connections.get_nowait() for _ in range(api._free_connections.qsize())]
    waiting = asyncio.create_task(hold(guest, "1A"))
    await asyncio.sleep(0)
    began_at = perf_counter()
    await asyncio.sleep(1)
    queued = perf_counter() - began_at
    api._free_connections.put_nowait(connections[0])

    response_time = (await asyncio.wait_for(waiting, 5)).response_time

    assert response_time.seconds < queued <= response_time.total_seconds


async def test_a_no_is_heard_at_once(guest: Guest, small: SmallApi) -> None:
    small.seats["1A"] = "booked"
    with pytest.raises(Refused, match="SEATS_UNAVAILABLE"):
        await hold(guest, "1A")
    assert len(small.asked) == 1


async def test_a_limit_is_waited_out_as_long_as_it_says(
    guest: Guest, small: SmallApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    async def wait(_: Pauses, seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(Pauses, "wait", wait)
    small.fault = on("POST", "/api/orders", problem(429, "RATE_LIMITED", retry_after=17), problem(429, "RATE_LIMITED"))

    await hold(guest, "1A")

    assert waits == [17.0, 1.0]


async def test_who_has_to_leave_waits_for_no_limit(api: Api, small: SmallApi) -> None:
    pauses = Pauses()
    small.fault = on("POST", "/api/orders", problem(429, "RATE_LIMITED", retry_after=60))
    waiting = asyncio.create_task(hold(Guest(api, pauses), "1A"))
    await until(lambda: small.asked)

    pauses.stop()

    with pytest.raises(CrowdStopped):
        await asyncio.wait_for(waiting, 5)


async def test_the_end_of_an_order_is_heard_by_its_stream(guest: Guest, small: SmallApi) -> None:
    order = (await hold(guest, "1A")).body["orderId"]
    await guest.send(Act.PAY, "POST", f"/api/orders/{order}/pay", {"paymentCode": "99999"})

    seen: list[Any] = []
    assert (await guest.await_end(order, seen.append))["status"] == "CONFIRMED"
    assert [status["status"] for status in seen] == ["CONFIRMED"]
    assert small.asked[-1].url.path == f"/api/orders/{order}/events"
    assert "Cookie" in small.asked[-1].headers


@pytest.mark.parametrize("broken", [httpx.ReadError("gone"), AWAY, httpx.Response(200, text="<html>")])
async def test_where_no_stream_is_to_be_had_the_status_is_looked_at(guest: Guest, small: SmallApi, broken: Any) -> None:
    order = (await hold(guest, "1A")).body["orderId"]
    await guest.send(Act.CANCEL, "DELETE", f"/api/orders/{order}")
    small.fault = on("GET", ".*/events", *[broken] * 1000)

    seen: list[Any] = []
    assert (await guest.await_end(order, seen.append))["failureCode"] == "CANCELLED"
    assert [status["failureCode"] for status in seen] == ["CANCELLED"]
    assert small.asked[-1].url.path == f"/api/orders/{order}/status"


async def test_a_stream_that_misses_its_beats_is_left_and_the_status_is_looked_at(
    guest: Guest, small: SmallApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guests, "SILENCE_SECONDS", -1.0)
    order = (await hold(guest, "1A")).body["orderId"]
    held = small.orders[order] | small._times(small.orders[order])
    told = f"event: order\nid: 1\ndata: {json.dumps(held)}\n\nevent: beat\ndata: {{}}\n\n: of a proxy\n\n"
    small.fault = on("GET", ".*/events", httpx.Response(200, text=told, headers={"Content-Type": "text/event-stream"}))
    ending = asyncio.create_task(guest.await_end(order, lambda _: None))
    await until(lambda: guest.failures["stream ReadTimeout"])
    await guest.send(Act.CANCEL, "DELETE", f"/api/orders/{order}")
    assert (await asyncio.wait_for(ending, 5))["status"] == "FAILED"


async def test_every_status_of_a_stream_is_seen_and_one_that_must_not_be_ends_it(guest: Guest, small: SmallApi) -> None:
    order = (await hold(guest, "1A")).body["orderId"]
    own = OwnOrder.of(FLIGHT, ("1A",), await guest.send(Act.FOLLOW, "GET", f"/api/orders/{order}"))
    own.is_paid_for = own.has_good_code = True
    told = "".join(
        f"event: order\ndata: {json.dumps(small.orders[order] | small._times(small.orders[order]) | {'status': status})}\n\n"
        for status in ("PAYMENT_PROCESSING", "PAYMENT_PENDING", "CONFIRMED")
    )
    stream = httpx.Response(200, text=told, headers={"Content-Type": "text/event-stream"})
    small.fault = on("GET", ".*/events", stream)
    with pytest.raises(ContractViolation, match="was PAYMENT_PROCESSING became PAYMENT_PENDING"):
        await guest.await_end(order, own.apply_status)


async def test_streams_are_bounded_and_who_finds_none_free_looks_instead(
    api: Api, guest: Guest, small: SmallApi
) -> None:
    order = (await hold(guest, "1A")).body["orderId"]
    api.streams = asyncio.Semaphore(0)
    ending = asyncio.create_task(guest.await_end(order, lambda _: None))
    await until(lambda: len(small.asked) >= 4)
    await guest.send(Act.CANCEL, "DELETE", f"/api/orders/{order}")

    assert (await asyncio.wait_for(ending, 5))["status"] == "FAILED"
    assert {request.url.path.rpartition("/")[2] for request in small.asked if request.method == "GET"} == {"status"}
