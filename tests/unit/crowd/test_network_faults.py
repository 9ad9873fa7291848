"""Commands that are sent more than once under one key: all their replies must agree."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from skyhold_local.simulation.connections import Api
from skyhold_local.simulation.guests import Guest
from skyhold_local.simulation.pauses import Pauses
from skyhold_local.simulation.replies import Act, ContractViolation, Refused, Reply
from support.small_api import FLIGHT, SmallApi, on, problem
from tools.crowd.network_faults import NetworkFault, send_with_fault

pytestmark = pytest.mark.usefixtures("short_patience")

TAKEN = problem(409, "SEATS_UNAVAILABLE", alternatives=[])


@pytest.fixture
def small() -> SmallApi:
    return SmallApi()


@pytest.fixture
async def guest(small: SmallApi) -> AsyncIterator[Guest]:
    async with Api("http://skyhold.test", transport=small.transport) as api:
        yield Guest(api, Pauses(retry_seconds=0.2))


async def hold(guest: Guest, fault: NetworkFault, *seats: str) -> Reply:
    body = {"flightId": FLIGHT, "seats": seats or ("1A",)}
    return await send_with_fault(guest, fault, Act.HOLD, method="POST", path="/api/orders", body=body)


def keys(small: SmallApi) -> list[str | None]:
    return [request.headers.get("Idempotency-Key") for request in small.asked]


@pytest.mark.parametrize(("fault", "times"), [(NetworkFault.LOST_REPLY, 3), (NetworkFault.DOUBLE_CLICK, 2)])
async def test_what_is_sent_again_under_its_key_is_the_same_order(
    guest: Guest, small: SmallApi, fault: NetworkFault, times: int
) -> None:
    reply = await hold(guest, fault)
    assert list(small.orders) == [reply.body["orderId"]]
    assert len(small.asked) == times
    assert len(set(keys(small))) == 1


@pytest.mark.parametrize("fault", list(NetworkFault))
async def test_two_orders_for_one_key_are_noticed(guest: Guest, small: SmallApi, fault: NetworkFault) -> None:
    def free_all(_: httpx.Request) -> None:
        small.seats = dict.fromkeys(small.seats, "available")

    small.forgets_keys, small.fault = True, free_all
    with pytest.raises(ContractViolation, match="A hold that was sent twice under one key has two answers"):
        await hold(guest, fault)


async def test_a_yes_that_is_taken_back_is_noticed(guest: Guest, small: SmallApi) -> None:
    small.forgets_keys = True
    order = (await guest.send(Act.HOLD, "POST", "/api/orders", {"flightId": FLIGHT, "seats": ["1A"]})).body["orderId"]
    small.fault = answers_in_turn(None, None, TAKEN)
    path, body = f"/api/orders/{order}/seats", {"seats": ["1B"]}
    with pytest.raises(
        ContractViolation, match="A change was granted, and refused when it was sent again under its key"
    ):
        await send_with_fault(guest, NetworkFault.LOST_REPLY, Act.CHANGE, method="PUT", path=path, body=body)


@pytest.mark.parametrize("fault", list(NetworkFault))
async def test_a_replay_that_is_not_marked_is_noticed(guest: Guest, small: SmallApi, fault: NetworkFault) -> None:
    small.marks = lambda _: False
    if fault is NetworkFault.DOUBLE_CLICK:
        # Of two at once both may be unmarked; a third one, after an acceptance and a refusal, is later.
        await hold(guest, fault)
        small.fault = on("POST", "/api/orders", TAKEN)
    with pytest.raises(
        ContractViolation, match="answered under its key, and then again without being marked as replayed"
    ):
        await hold(guest, fault, "2A")


async def test_a_mark_on_a_first_answer_is_noticed(guest: Guest, small: SmallApi) -> None:
    small.marks = lambda _: True
    with pytest.raises(ContractViolation, match="marked as replayed the first time that it was sent"):
        await guest.send(Act.HOLD, "POST", "/api/orders", {"flightId": FLIGHT, "seats": ["1A"]})
    with pytest.raises(
        ContractViolation, match="Both answers to a hold that was sent twice at once were marked as replayed"
    ):
        await hold(guest, NetworkFault.DOUBLE_CLICK, "2A")


async def test_a_first_answer_may_be_marked_if_an_earlier_try_of_it_was_lost(guest: Guest, small: SmallApi) -> None:
    small.marks = lambda _: True
    small.fault = on("POST", "/api/orders", httpx.ReadError("lost"))
    reply = await guest.send(Act.HOLD, "POST", "/api/orders", {"flightId": FLIGHT, "seats": ["1A"]})
    assert (reply.is_replay, reply.response_time.tries) == (True, 2)


async def test_a_cancel_has_no_key_and_no_mark(guest: Guest, small: SmallApi) -> None:
    order = (await hold(guest, NetworkFault.LOST_REPLY)).body["orderId"]
    small.fault = on("DELETE", ".*", httpx.Response(204), httpx.Response(204), httpx.Response(204))
    for fault in (NetworkFault.DOUBLE_CLICK, NetworkFault.LOST_REPLY):
        await send_with_fault(guest, fault, Act.CANCEL, method="DELETE", path=f"/api/orders/{order}")
        small.fault = on("DELETE", ".*", *[httpx.Response(204)] * 3)


async def test_a_no_is_told_as_one(guest: Guest, small: SmallApi) -> None:
    small.seats["1A"] = "booked"
    for fault in NetworkFault:
        with pytest.raises(Refused, match="SEATS_UNAVAILABLE"):
            await hold(guest, fault)


async def test_of_a_yes_and_a_no_at_once_the_yes_has_to_be_said_again(guest: Guest, small: SmallApi) -> None:
    small.fault = on("POST", "/api/orders", TAKEN)
    reply = await hold(guest, NetworkFault.DOUBLE_CLICK)
    assert list(small.orders) == [reply.body["orderId"]]
    assert len(small.asked) == 3

    small.fault = answers_in_turn(TAKEN, None, TAKEN)
    with pytest.raises(ContractViolation, match="refused when it was sent again"):
        await hold(guest, NetworkFault.DOUBLE_CLICK, "2A")


@pytest.mark.parametrize("fault", list(NetworkFault))
async def test_what_was_given_up_is_asked_anew_under_another_key(
    guest: Guest, small: SmallApi, fault: NetworkFault
) -> None:
    small.fault = on("POST", "/api/orders", *[problem(409, "DEADLINE_EXCEEDED")] * 2)
    reply = await hold(guest, fault)
    assert list(small.orders) == [reply.body["orderId"]]
    assert len(set(keys(small))) == 2


async def test_an_order_of_which_one_click_of_two_was_told_is_not_forgotten(guest: Guest, small: SmallApi) -> None:
    small.fault = answers_in_turn(None, *[problem(500, "INTERNAL")] * 1000)
    with pytest.raises(ContractViolation, match="500 INTERNAL"):
        await hold(guest, NetworkFault.DOUBLE_CLICK)
    assert guest.uncertain_order_ids == set(small.orders)


async def test_a_reply_that_is_lost_is_closed_unread_and_the_command_was_sent() -> None:
    """Over a real connection: the whole request arrives, and the connection is closed before the reply."""
    heard: list[bytes] = []
    is_gone = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b'"seats":["1A"]}'))
        assert await reader.read() == b""
        is_gone.set()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, Api(address) as api:
        request = api.build_request("POST", "/api/orders", json={"flightId": FLIGHT, "seats": ["1A"]})
        await asyncio.wait_for(api.send_and_disconnect(request, 0.01), 5)
        await asyncio.wait_for(is_gone.wait(), 5)
    assert heard[0].startswith(b"POST /api/orders HTTP/1.1\r\n")


def answers_in_turn(*answers: httpx.Response | None) -> Callable[[httpx.Request], httpx.Response | None]:
    """Return a fault that gives these answers; None is the API's own."""
    left: list[Any] = list(answers)
    return lambda _: left.pop(0) if left else None
