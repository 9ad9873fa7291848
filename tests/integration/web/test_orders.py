"""A customer's commands over HTTP, on real servers."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from redis.asyncio import Redis

from skyhold.bootstrap.temporal import connect_temporal
from skyhold.messages import BOOKING_STATUS, BOOKING_WORKFLOW, UPDATE_SEATS, ExpireOrder, Step
from skyhold.postgresql.pools import Pool
from skyhold.settings import Settings
from skyhold.stores.ledger import Ledger
from skyhold.stores.orders import OrderStore
from skyhold.web.api import claims
from support.services import FL101, Service, eventually, running_service

API_DOCUMENT = Path(__file__).parents[3] / "docs" / "openapi.json"


def _instant(text: str) -> datetime:
    assert text.endswith("Z")
    return datetime.fromisoformat(text)


async def test_an_order_is_created_when_its_seats_are_held(service: Service) -> None:
    reply = await service.order(["12B", "2A"])
    body = reply.json()
    assert reply.status_code == 201
    assert set(body) == {
        *("orderId", "workflowId", "flightId", "status", "seats", "totalPriceCents", "currency"),
        *("expiresAt", "maxExpiresAt", "serverTime", "orderToken"),
    }
    assert (body["status"], body["seats"], body["flightId"]) == ("SEATS_RESERVED", ["2A", "12B"], FL101)
    assert (body["totalPriceCents"], body["currency"]) == (70000, "USD")
    left = _instant(body["expiresAt"]) - _instant(body["serverTime"])
    assert timedelta(minutes=14, seconds=55) < left <= timedelta(minutes=15)
    assert (await service.seat("2A"))["status"] == "reserved"
    assert (await service.get(reply.headers["location"]))["orderId"] == body["orderId"]


async def test_a_seat_that_another_holds_is_a_conflict_that_names_it_and_not_its_owner(service: Service) -> None:
    held = await service.hold("1A", "1B")
    reply = await service.order(["1B", "1C"])
    problem = reply.json()
    assert (reply.status_code, problem["error"]) == (409, "SEATS_UNAVAILABLE")
    assert problem["conflicts"] == [{"seat": "1B", "status": "reserved"}]
    assert held["orderId"] not in reply.text
    assert (await service.seat("1C"))["status"] == "available"


@pytest.mark.parametrize(
    ("seats", "facts"),
    [(["99A"], [{"seat": "99A", "detail": "is not on this aircraft"}]), ([f"{row}A" for row in range(1, 11)], [])],
)
async def test_seats_that_nobody_can_have_are_refused(seats: list[str], facts: list[Any], service: Service) -> None:
    reply = await service.order(seats)
    assert (reply.status_code, reply.json()["error"], reply.json()["seats"]) == (400, "INVALID_SEATS", facts)


async def test_a_booking_on_a_flight_that_is_not_there_is_not_found(service: Service) -> None:
    reply = await service.order(["1A"], flight_id="550e8400-e29b-41d4-a716-446655449999")
    assert (reply.status_code, reply.json()["error"]) == (404, "FLIGHT_NOT_FOUND")


async def test_a_change_of_seats_gives_the_new_ones_and_the_full_time(service: Service) -> None:
    held = await service.hold("3A", "3B")
    reply = await service.change(held["orderId"], "3B", "4B", "4C")
    body = reply.json()
    assert reply.status_code == 200
    assert set(body) == {"orderId", "status", "seats", "totalPriceCents", "expiresAt", "serverTime"}
    assert (body["seats"], body["totalPriceCents"]) == (["3B", "4B", "4C"], 105_000)
    assert _instant(body["expiresAt"]) > _instant(held["expiresAt"])
    assert (await service.seat("3A"))["status"] == "available"


async def test_a_refused_change_leaves_everything_and_is_told_as_the_last_error(service: Service) -> None:
    await service.hold("5A")
    held = await service.hold("5B")
    reply = await service.change(held["orderId"], "5A", "5B")
    assert (reply.status_code, reply.json()["error"]) == (409, "SEATS_UNAVAILABLE")
    status = await service.status(held["orderId"])
    assert (status["seats"], status["expiresAt"]) == (["5B"], held["expiresAt"])
    # That command got a reply; a signal has no other answer than this.
    client = await connect_temporal()
    await client.get_workflow_handle(held["workflowId"]).signal(UPDATE_SEATS, {"seats": ["5A", "5B"]})

    async def is_told() -> bool:
        said = (await service.status(held["orderId"])).get("lastError")
        return said == "SEATS_UNAVAILABLE: Not available: 5A."

    assert await eventually(is_told)
    await service.change(held["orderId"], "5C")
    assert "lastError" not in await service.status(held["orderId"])


async def test_a_paid_order_is_confirmed_with_a_reference(service: Service) -> None:
    held = await service.hold("6A")
    reply = await service.pay(held["orderId"])
    assert (reply.status_code, reply.json()) == (202, {"orderId": held["orderId"], "status": "PAYMENT_PENDING"})
    status = await service.outcome(held["orderId"])
    assert (status["status"], status["paymentAttempts"], status["timerRemaining"]) == ("CONFIRMED", 1, 0)
    assert len(status["reference"]) == 6
    assert "failureCode" not in status


async def test_a_declined_order_says_so_and_gives_its_seats_back(service: Service) -> None:
    held = await service.hold("6B")
    await service.pay(held["orderId"], "00000")
    status = await service.outcome(held["orderId"])
    assert (status["status"], status["failureCode"]) == ("FAILED", "PAYMENT_DECLINED")
    assert status["failureReason"] == "The payment was declined. Nothing was charged."
    assert status["lastError"] == "PAYMENT_DECLINED: The payment was declined. Nothing was charged."
    assert (await service.seat("6B"))["status"] == "available"


async def test_status_has_the_members_of_the_contract_and_a_clock_that_is_true(service: Service) -> None:
    held = await service.hold("6C")
    status = await service.status(held["orderId"])
    assert set(status) == {
        *("orderId", "flightId", "status", "seats", "expiresAt", "timerRemaining", "paymentAttempts"),
        *("maxPaymentAttempts", "serverTime"),
    }
    left = (_instant(status["expiresAt"]) - _instant(status["serverTime"])).total_seconds()
    # Replies have instants in milliseconds.
    assert left - 0.002 <= status["timerRemaining"] < left + 1.002
    assert (status["paymentAttempts"], status["maxPaymentAttempts"]) == (0, 3)


async def test_status_and_the_bookings_own_query_agree(service: Service) -> None:
    held = await service.hold("6D")
    await service.change(held["orderId"], "6E")
    client = await connect_temporal()
    asked_at = asyncio.get_running_loop().time()
    query = await client.get_workflow_handle(held["workflowId"]).query(BOOKING_STATUS)
    status = await service.status(held["orderId"])
    between = asyncio.get_running_loop().time() - asked_at
    assert -1 <= query.pop("timerRemaining") - status["timerRemaining"] <= 1 + between
    assert {key: status[key] for key in query} == query


async def test_a_cancelled_order_gives_its_seats_back_and_is_cancelled_twice_alike(service: Service) -> None:
    held = await service.hold("8A")
    assert (await service.cancel(held["orderId"])).status_code == 204
    assert (await service.seat("8A"))["status"] == "available"
    assert (await service.status(held["orderId"]))["failureCode"] == "CANCELLED"
    assert (await service.cancel(held["orderId"])).status_code == 204


async def test_many_cancels_at_once_are_all_told_that_it_is_cancelled(service: Service) -> None:
    held = await service.hold("8B")
    replies = await asyncio.gather(*(service.cancel(held["orderId"]) for _ in range(5)))
    assert [reply.status_code for reply in replies] == [204] * 5


async def test_a_confirmed_order_refuses_every_command(service: Service) -> None:
    held = await service.hold("8C")
    await service.pay(held["orderId"])
    await service.outcome(held["orderId"])
    replies = [
        await service.change(held["orderId"], "8D"),
        await service.pay(held["orderId"]),
        await service.cancel(held["orderId"]),
    ]
    assert [(reply.status_code, reply.json()["error"]) for reply in replies] == [(409, "ORDER_CLOSED")] * 3
    assert (await service.seat("8C"))["status"] == "booked"


async def test_the_whole_order_tells_prices_version_and_what_can_be_done(service: Service) -> None:
    held = await service.hold("9A", "9B")
    order = await service.get(f"/api/orders/{held['orderId']}")
    assert order["seatPrices"] == [{"id": "9A", "priceCents": 35000}, {"id": "9B", "priceCents": 35000}]
    assert (order["totalPriceCents"], order["version"]) == (70000, 1)
    assert order["availableActions"] == ["change-seats", "pay", "cancel"]
    await service.cancel(held["orderId"])
    order = await service.get(f"/api/orders/{held['orderId']}")
    assert order["availableActions"] == []
    assert order["failureReason"] == "The customer cancelled the booking."


async def test_an_order_whose_reason_was_not_kept_has_the_standard_sentence_of_its_code(
    service: Service, pool: Pool
) -> None:
    held = await service.hold("9A")
    await service.cancel(held["orderId"])
    await pool.execute("UPDATE orders SET failure_reason = NULL WHERE id = $1", held["orderId"])
    status = await service.status(held["orderId"])
    assert (status["failureCode"], status["failureReason"]) == (
        "CANCELLED",
        "The booking was cancelled. Nothing was charged.",
    )
    assert status["lastError"] == "CANCELLED: The booking was cancelled. Nothing was charged."


async def test_an_expired_order_says_so_by_code_and_sentence(service: Service, pool: Pool) -> None:
    held = await service.hold("9B")
    await pool.execute("UPDATE orders SET expires_at = clock_timestamp() WHERE id = $1", held["orderId"])
    row = await pool.fetchrow("SELECT chain, step FROM orders WHERE id = $1", held["orderId"])
    assert row is not None
    step = Step(held["orderId"], held["workflowId"], row["chain"], row["step"] + 1)
    await OrderStore(Ledger(pool)).expire(ExpireOrder(step))
    status = await service.status(held["orderId"])
    assert (status["status"], status["failureCode"]) == ("EXPIRED", "ORDER_EXPIRED")
    assert status["lastError"] == f"ORDER_EXPIRED: {status['failureReason']}"
    history = await service.get(f"/api/orders/{held['orderId']}/history")
    *before, last = [event.get("failureCode") for event in history["events"]]
    assert last == "ORDER_EXPIRED"
    assert set(before) == {None}


async def test_the_history_tells_the_way_an_order_has_taken(service: Service) -> None:
    held = await service.hold("10A")
    await service.change(held["orderId"], "10B")
    await service.pay(held["orderId"])
    await service.outcome(held["orderId"])
    history = await service.get(f"/api/orders/{held['orderId']}/history")
    assert history["orderId"] == held["orderId"]
    assert [event["seq"] for event in history["events"]] == [1, 2, 3, 4, 5, 6]
    assert [event["status"] for event in history["events"]] == [
        *("CREATED", "SEATS_RESERVED", "SEATS_RESERVED", "PAYMENT_PENDING", "PAYMENT_PROCESSING", "CONFIRMED"),
    ]
    assert [event["seats"] for event in history["events"]][:3] == [[], ["10A"], ["10B"]]


async def test_the_history_tells_what_was_found_wrong_at_whatever_status(service: Service, pool: Pool) -> None:
    held = await service.hold("10A")
    ledger = Ledger(pool)
    for note in ("first", "second"):
        await ledger.note(held["orderId"], note)
    await service.change(held["orderId"], "10B")
    await service.pay(held["orderId"])
    await service.outcome(held["orderId"])
    await ledger.note(held["orderId"], "third")

    history = await service.get(f"/api/orders/{held['orderId']}/history")

    schema = json.loads(API_DOCUMENT.read_text(encoding="utf-8"))
    jsonschema_rs.validate({"$ref": "#/components/schemas/HistoryBody", "components": schema["components"]}, history)
    told = [(event["status"], event.get("finding")) for event in history["events"]]
    assert told[2:4] == [("SEATS_RESERVED", "first"), ("SEATS_RESERVED", "second")]
    assert told[-2:] == [("CONFIRMED", None), ("CONFIRMED", "third")]
    assert [event["seq"] for event in history["events"]] == list(range(1, 10))


@pytest.mark.rest
async def test_a_hold_whose_booking_is_terminated_under_way_is_unknown_until_it_is_surely_none(
    service: Service, pool: Pool, settings: Settings
) -> None:
    temporal = await connect_temporal()
    running = f"TaskQueue='{settings.temporal_task_queue}' AND WorkflowType='{BOOKING_WORKFLOW}'"
    key = {"Idempotency-Key": "a-name-of-more-than-16-letters"}
    body = {"flightId": FL101, "seats": ["1A"]}

    async def runs() -> str | None:
        return await anext((run.id async for run in temporal.list_workflows(running)), None)

    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        await connection.execute("SELECT FROM seats WHERE flight_id = $1 AND seat_id = '1A' FOR UPDATE", FL101)
        asking = asyncio.create_task(service.api.post("/api/orders", json=body, headers=key))
        workflow_id = await eventually(runs)
        await temporal.get_workflow_handle(workflow_id).terminate("by mistake")
        told = (await asking).json()
    assert (told["status"], told.get("outcome"), f"booking-{told['orderId']}") == (503, "unknown", workflow_id)

    # Its step was running: the ledger may still get the order, or never.
    again = (await service.api.post("/api/orders", json=body, headers=key)).json()
    held = await pool.fetchval("SELECT status FROM orders WHERE id = $1", told["orderId"])
    is_none = held in {None, "FAILED"}  # a step after its deadline is refused
    expected = (409, "ORDER_CLOSED") if is_none else (503, "WORKFLOW_UNAVAILABLE")
    assert (again["status"], again["error"]) == expected


@pytest.mark.parametrize("way", ["", "/status", "/history"])
async def test_an_order_that_is_not_there_is_not_found(way: str, service: Service) -> None:
    reply = await service.api.get(f"/api/orders/nobody{way}")
    assert (reply.status_code, reply.json()["error"]) == (404, "ORDER_NOT_FOUND")
    replies = [await service.change("nobody", "1A"), await service.pay("nobody"), await service.cancel("nobody")]
    assert [(reply.status_code, reply.json()["error"]) for reply in replies] == [(404, "ORDER_NOT_FOUND")] * 3


async def test_a_refused_order_leaves_no_lock_behind(service: Service, redis_of_test: Redis) -> None:
    await service.hold("11A")
    await service.order(["11A", "11B"])
    assert [key async for key in redis_of_test.scan_iter("seat:lock:*11B")] == []


async def test_fifty_customers_want_one_seat_and_one_gets_it(
    service: Service, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "CLAIM_TIMEOUT_SECONDS", 30.0)
    replies = await asyncio.gather(*(service.order(["20F"]) for _ in range(50)))
    # All found it available; one was sent to the booking, and the others waited for its outcome.
    assert await pool.fetchval("SELECT count(*) FROM orders") == 1
    assert sorted(reply.status_code for reply in replies) == [201] + [409] * 49
    refused = [reply.json() for reply in replies if reply.status_code == 409]
    assert all(problem["conflicts"] == [{"seat": "20F", "status": "reserved"}] for problem in refused)


@pytest.mark.usefixtures("service")
async def test_the_attempt_under_way_is_told_while_it_is(settings: Settings) -> None:
    failing = settings.model_copy(
        update={"payment_failure_rate": 1.0, "temporal_task_queue": f"{settings.temporal_task_queue}-failing"}
    )
    async with running_service(failing) as other:
        held = await other.hold("12A")
        await other.pay(held["orderId"], "12345")
        seen: list[int] = []

        async def ended() -> dict[str, Any] | None:
            status = await other.status(held["orderId"])
            if status["status"] == "PAYMENT_PROCESSING" and status["paymentAttempts"] not in seen:
                seen.append(status["paymentAttempts"])
            return status if status["status"] == "FAILED" else None

        status = await eventually(ended)
    assert seen == [1, 2, 3]
    assert (status["failureCode"], status["paymentAttempts"]) == ("PAYMENT_FAILED", 3)


async def test_an_unpaid_order_expires_and_refuses_what_comes_later(settings: Settings, service: Service) -> None:
    short = settings.model_copy(
        update={
            "seat_reservation_timeout": timedelta(seconds=1),
            "temporal_task_queue": f"{settings.temporal_task_queue}-short",
        }
    )
    async with running_service(short) as other:
        held = await other.hold("13A")
        status = await other.outcome(held["orderId"])
        assert (status["status"], status["timerRemaining"]) == ("EXPIRED", 0)
        assert (await service.seat("13A"))["status"] == "available"
        replies = [
            await other.change(held["orderId"], "13B"),
            await other.pay(held["orderId"]),
            await other.cancel(held["orderId"]),
        ]
        assert [(reply.status_code, reply.json()["error"]) for reply in replies] == [(409, "ORDER_EXPIRED")] * 3
