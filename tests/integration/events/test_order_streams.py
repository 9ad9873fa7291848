"""The stream of an order: the body of its status, at once and at every change, until it has ended."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from skyhold.domain.orders import FailureCode, Order, OrderStatus
from skyhold.messages import ClosePayment, ExpireOrder, ValidatePayment
from skyhold.queries.orders import OrderAccess
from skyhold.web.live import watches as live
from support.activity_runner import ANY_CODE, ActivityRunner, change, fail, next_step
from support.bookings import new_order_id
from support.gateways import Act, ScriptedGateway
from support.streams import Api, Event, Stream

CLOCKS = {"serverTime", "timerRemaining"}


async def held(desk: ActivityRunner, flight: str, *seats: str) -> Order:
    return await desk.hold(flight, seats or ("1A",), guest_hash=new_order_id())


async def _next(stream: Stream) -> Event:
    event = await stream.next()
    assert event is not None, "the stream ended"
    assert event.name == "order"
    return event


async def _status(api: Api, order: Order) -> dict[str, Any]:
    """Return the status, read over the same kind of connection."""
    token = api.services.identities.token_of(order.id)
    reply = await api.get(f"/api/orders/{order.id}/status", headers={"Authorization": f"Bearer {token}"})
    body: dict[str, Any] = json.loads(await reply.body())
    return body


def _without_clocks(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in CLOCKS}


async def test_the_first_event_is_the_body_of_the_status(api: Api, desk: ActivityRunner, flight: str) -> None:
    order = await held(desk, flight, "1A", "1B")
    stream = await api.follow(order.id)
    event = await _next(stream)
    status = await _status(api, order)
    assert _without_clocks(event.data) == _without_clocks(status)
    assert list(event.data) == list(status)
    assert event.data["seats"] == ["1A", "1B"]
    between = datetime.fromisoformat(status["serverTime"]) - datetime.fromisoformat(event.data["serverTime"])
    assert between >= timedelta(0)
    # Both are rounded, and replies have instants in milliseconds.
    assert abs(event.data["timerRemaining"] - status["timerRemaining"] - between.total_seconds()) < 1.01
    assert stream.retry is not None
    assert stream.headers["cache-control"] == "no-store, no-transform"


async def test_a_booking_is_told_from_its_hold_to_its_confirmation_with_every_attempt(
    api: Api, desk: ActivityRunner, flight: str
) -> None:
    desk = replace(desk, gateway=ScriptedGateway(desk.pool, [Act.FAIL, Act.FAIL, Act.APPROVE]))
    order = await held(desk, flight)
    stream = await api.follow(order.id)
    steps = [(await _next(stream)).data]
    order = await desk.do(change(order, ["1A", "1B"]))
    steps.append((await _next(stream)).data)
    order = await desk.begin_payment(order)
    steps.append((await _next(stream)).data)
    ask = ValidatePayment(next_step(order), ANY_CODE)
    for _ in range(2):
        with pytest.raises(ApplicationError):
            await desk.run(ask)
        steps.append((await _next(stream)).data)
    order = await desk.do(ask)
    steps.append((await _next(stream)).data)
    await desk.confirm(order)
    steps += [event.data for event in await stream.rest()]
    assert [(step["status"], step["paymentAttempts"], step["seats"]) for step in steps] == [
        ("SEATS_RESERVED", 0, ["1A"]),
        ("SEATS_RESERVED", 0, ["1A", "1B"]),
        ("PAYMENT_PENDING", 0, ["1A", "1B"]),
        ("PAYMENT_PROCESSING", 1, ["1A", "1B"]),
        ("PAYMENT_PROCESSING", 2, ["1A", "1B"]),
        ("PAYMENT_PROCESSING", 3, ["1A", "1B"]),
        ("CONFIRMED", 3, ["1A", "1B"]),
    ]
    assert steps[-1]["reference"]
    assert stream.is_complete


async def test_an_extension_is_told_with_its_new_end_and_the_version_as_it_was(
    api: Api, desk: ActivityRunner, flight: str
) -> None:
    order = await held(desk, flight)
    stream = await api.follow(order.id)
    before = (await _next(stream)).data
    extended = await desk.do(change(order, ["1A"]))
    after = (await _next(stream)).data
    assert after["expiresAt"] > before["expiresAt"]
    same = ("status", "seats", "version", "maxExpiresAt")
    assert [after.get(name) for name in same] == [before.get(name) for name in same]
    assert extended.version == order.version


async def test_a_payment_that_fails_is_told_as_failed_by_its_end_alone(
    api: Api, desk: ActivityRunner, flight: str
) -> None:
    desk = replace(desk, gateway=ScriptedGateway(desk.pool, [Act.FAIL] * 3))
    order = await desk.begin_payment(await held(desk, flight))
    stream = await api.follow(order.id)
    events = [await _next(stream)]
    ask = ValidatePayment(next_step(order), ANY_CODE)
    for _ in range(2):
        with pytest.raises(ApplicationError):
            await desk.run(ask)
        events.append(await _next(stream))
    answer = await desk.run(ask)
    assert answer is not None
    assert answer.order is not None
    assert "lastError" not in await _status(api, order), "a capture may still be found"
    order = await desk.do(ClosePayment(next_step(answer.order)))
    await desk.do(fail(order, FailureCode.PAYMENT_FAILED))
    events += await stream.rest()
    assert not any("lastError" in event.data for event in events[:-1])
    assert len({event.id for event in events}) == len(events)
    assert events[-1].data["lastError"] == "PAYMENT_FAILED: as the test says"


async def test_an_attempt_is_told_while_the_gateway_is_asked(
    api: Api, compared: asyncio.Event, desk: ActivityRunner, flight: str
) -> None:
    gateway = ScriptedGateway(desk.pool, [Act.WAIT])
    desk = replace(desk, gateway=gateway)
    order = await desk.begin_payment(await held(desk, flight))
    stream = await api.follow(order.id)
    assert (await _next(stream)).data["paymentAttempts"] == 0
    await asyncio.wait_for(compared.wait(), 10)
    asking = asyncio.create_task(desk.run(ValidatePayment(next_step(order), ANY_CODE)))
    assert (await _next(stream)).data["paymentAttempts"] == 1
    assert not asking.done()
    gateway.go_on.set()
    await asking


async def expire(desk: ActivityRunner, order: Order) -> Order:
    await desk.let_lapse(order)
    return await desk.do(ExpireOrder(next_step(order)))


async def cancel(desk: ActivityRunner, order: Order) -> Order:
    return await desk.do(fail(order))


async def fail_to_pay(desk: ActivityRunner, order: Order) -> Order:
    order = await desk.begin_payment(order)
    order = await desk.do(ClosePayment(next_step(order)))
    return await desk.do(fail(order, FailureCode.PAYMENT_FAILED))


@pytest.mark.rest(but_first=True)
@pytest.mark.parametrize(
    ("end", "last"),
    [(expire, "EXPIRED"), (cancel, "FAILED"), (fail_to_pay, "FAILED"), (ActivityRunner.pay, "CONFIRMED")],
    ids=["expired", "cancelled", "payment failed", "confirmed"],
)
async def test_the_stream_ends_with_the_order_and_who_comes_back_is_sent_away(
    end: Any, last: str, api: Api, desk: ActivityRunner, flight: str
) -> None:
    order = await held(desk, flight)
    stream = await api.follow(order.id)
    ended = await end(desk, order)
    assert ended.status.is_terminal
    events = await stream.rest()
    assert events[-1].data["status"] == last
    assert _without_clocks(events[-1].data) == _without_clocks(await _status(api, order))
    again = await api.follow(order.id, last_event_id=events[-1].id)
    assert (again.status, again.headers.get("content-length", "0")) == (204, "0")
    assert api.live.orders._watches == {}


async def test_who_has_not_heard_the_end_hears_it_and_no_more(api: Api, desk: ActivityRunner, flight: str) -> None:
    order = await held(desk, flight)
    stream = await api.follow(order.id)
    first = await _next(stream)
    stream.close()
    await desk.pay(order)
    for last_event_id in (None, "", first.id, "anything"):
        late = await api.follow(order.id, last_event_id=last_event_id)
        assert late.status == 200
        assert [event.data["status"] for event in await late.rest()] == ["CONFIRMED"]
        assert late.is_complete


async def test_who_comes_back_in_the_middle_is_told_at_once_where_the_order_stands(
    api: Api, desk: ActivityRunner, flight: str
) -> None:
    order = await held(desk, flight)
    stream = await api.follow(order.id)
    first = await _next(stream)
    stream.close()
    back = await api.follow(order.id, last_event_id=first.id)
    assert (await _next(back)).id == first.id
    await desk.begin_payment(order)
    assert (await _next(back)).data["status"] == "PAYMENT_PENDING"


async def test_a_refused_change_is_told(api: Api, desk: ActivityRunner, flight: str) -> None:
    order = await held(desk, flight)
    await held(desk, flight, "1B")
    stream = await api.follow(order.id)
    await _next(stream)
    await desk.ask(change(order, ["1A", "1B"]))
    event = await _next(stream)
    assert event.data["lastError"].startswith("SEATS_UNAVAILABLE")
    assert event.data["seats"] == ["1A"]


async def test_everybody_who_follows_an_order_is_told_the_same(api: Api, desk: ActivityRunner, flight: str) -> None:
    order = await held(desk, flight)
    streams = [await api.follow(order.id) for _ in range(3)]
    await desk.pay(order)
    told = [[(event.data["status"], event.id) for event in await stream.rest()] for stream in streams]
    assert told[0] == told[1] == told[2]
    assert told[0][-1][0] == "CONFIRMED"


async def test_an_order_that_cannot_be_seen_is_a_problem_before_any_stream(
    api: Api, desk: ActivityRunner, flight: str
) -> None:
    order = await held(desk, flight)
    by_hand = await desk.hold(flight, ["2A"])  # has no owner over HTTP
    token = api.services.identities.token_of(order.id)
    for order_id, headers in (
        (order.id, {}),
        (order.id, {"Authorization": "Bearer of another order"}),
        (by_hand.id, {"Authorization": f"Bearer {token}"}),
        ("nobody-has-this", {"Authorization": f"Bearer {token}"}),
        ("not%20an%20id", {}),
    ):
        reply = await api.get(f"/api/orders/{order_id}/events", headers=headers)
        problem = json.loads(await reply.body())
        assert (reply.status, problem["error"]) == (404, "ORDER_NOT_FOUND"), order_id
    assert api.live.orders._watches == {}


async def test_a_change_that_no_event_told_of_is_found_by_comparing(
    api: Api, desk: ActivityRunner, silent_desk: ActivityRunner, flight: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "RESYNC_SECONDS", 0.2)
    order = await held(desk, flight)
    stream = await api.follow(order.id)
    await _next(stream)
    order = await silent_desk.begin_payment(order)
    assert (await _next(stream)).data["status"] == "PAYMENT_PENDING"
    order = await silent_desk.capture(order)
    await silent_desk.confirm(order)
    assert (await stream.rest())[-1].data["status"] == "CONFIRMED"


async def test_nothing_is_told_twice(
    api: Api, desk: ActivityRunner, flight: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "RESYNC_SECONDS", 0.05)
    order = await held(desk, flight)
    stream = await api.follow(order.id)
    await _next(stream)
    await desk.do(ExpireOrder(next_step(order)))  # has time left: a step without a visible change
    with pytest.raises(TimeoutError):
        await stream.next(within=0.5)


async def test_a_change_between_the_first_look_and_the_first_event_is_told(
    api: Api, desk: ActivityRunner, flight: str
) -> None:
    """The order had no watch when its event arrived, so the event was skipped."""
    order = await held(desk, flight)
    before = await api.services.orders.find(order.id, OrderAccess(has_token=True))
    assert before is not None
    await desk.begin_payment(order)
    listener = api.live.orders.join(before)
    frames = b""
    async with asyncio.timeout(10):
        while b"PAYMENT_PENDING" not in frames:
            frames += await listener.take()


async def test_an_older_look_never_follows_a_newer_one(
    api: Api, desk: ActivityRunner, flight: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The read of a new listener overtakes a slow one of the watch."""
    orders = api.services.orders
    order = await held(desk, flight)
    slow = await orders.find(order.id, OrderAccess(has_token=True))
    assert slow is not None
    listener = api.live.orders.join(slow)
    watch = api.live.orders._watches[order.id]

    async def read_slowly(_: str) -> Any:
        order_now = await desk.begin_payment(order)
        assert order_now.status is OrderStatus.PAYMENT_PENDING
        quick = await orders.find(order.id, OrderAccess(has_token=True))
        assert quick is not None
        api.live.orders.join(quick)
        return slow

    monkeypatch.setattr(watch, "_read", read_slowly)
    await watch._refresh.refresh()
    frames = (await listener.take()).decode()
    assert [frames.count(status) for status in ("SEATS_RESERVED", "PAYMENT_PENDING")] == [1, 1]
