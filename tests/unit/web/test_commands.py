"""Commands that the routes send to the booking client, and their replies to its answers."""

from __future__ import annotations

import asyncio
import secrets
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta

import httpx
import pytest

from skyhold.domain.errors import DeadlineExceeded, OrderClosed, PaymentInProgress, SeatsUnavailable, SkyholdError
from skyhold.domain.orders import OrderStatus
from skyhold.domain.requests import HoldRequest
from skyhold.queries.orders import OrderSnapshot
from skyhold.workflows.booking_client import COMMAND_TIMEOUT
from support.web import FLIGHT, NOW, ScriptedServices, a_look, app_over, client_of

CANCELLED = a_look(OrderStatus.FAILED, "CANCELLED")
HELD = a_look(OrderStatus.SEATS_RESERVED, None)
EXPIRED = a_look(OrderStatus.EXPIRED, None)
DECLINED = a_look(OrderStatus.FAILED, "PAYMENT_DECLINED")


def a_refused_hold(refusal: SkyholdError) -> OrderSnapshot:
    return replace(a_look(OrderStatus.FAILED, "INTERNAL"), hold_refusal=refusal)


@pytest.fixture
def services() -> ScriptedServices:
    return ScriptedServices()


@pytest.fixture
async def api(services: ScriptedServices) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app_over(services)) as client:
        yield client


async def test_a_new_order_gets_an_id_that_sorts_by_time_and_an_address(
    api: httpx.AsyncClient, services: ScriptedServices
) -> None:
    reply = await api.post("/api/orders", json={"flightId": FLIGHT.upper(), "seats": ["12B", "2A"]})
    body = reply.json()
    assert reply.status_code == 201
    assert uuid.UUID(body["orderId"]).version == 7
    assert reply.headers["location"] == f"/api/orders/{body['orderId']}"
    assert body["workflowId"] == f"booking-{body['orderId']}"
    hold = services.sent[0].command
    assert isinstance(hold, HoldRequest)
    assert (hold.flight_id, hold.seats) == (FLIGHT, ("2A", "12B"))


async def test_server_time_is_the_ledgers_clock_gone_on_since_it_was_read(api: httpx.AsyncClient) -> None:
    body = (await api.post("/api/orders", json={"flightId": FLIGHT, "seats": ["12A"]})).json()
    assert 0 <= (datetime.fromisoformat(body["serverTime"]) - NOW).total_seconds() < 5
    assert body["serverTime"].endswith("Z")


async def test_every_command_is_given_up_when_its_caller_is_by_the_ledgers_clock(
    api: httpx.AsyncClient, services: ScriptedServices
) -> None:
    await api.post("/api/orders", json={"flightId": FLIGHT, "seats": ["12A"]})
    await api.put("/api/orders/an-order/seats", json={"seats": ["12A"]})
    await api.post("/api/orders/an-order/pay", json={"paymentCode": "99999"})
    await api.delete("/api/orders/an-order")
    assert len(services.sent) == 4
    for sent in services.sent:
        assert sent.command.deadline is not None
        # On a busy machine the precheck takes a while; the ledger's clock has been read by then.
        assert timedelta(seconds=-1) < sent.command.deadline - NOW - COMMAND_TIMEOUT < timedelta(seconds=0.5)


async def test_what_looking_took_beyond_its_own_time_is_not_given_to_the_command_again(
    api: httpx.AsyncClient, services: ScriptedServices
) -> None:
    services.seconds["remember"] = 0.5
    key = {"Idempotency-Key": "sixteen-letters-"}
    await api.put("/api/orders/an-order/seats", json={"seats": ["12A"]}, headers=key)
    # By PostgreSQL's clock, which was read before those 0.5 s, the deadline is 2.7 s after the arrival, as usual; on a
    # slow machine that is less after the reading, and never more.
    deadline = services.sent[0].command.deadline
    assert deadline is not None
    given = deadline - NOW - COMMAND_TIMEOUT - timedelta(seconds=0.2)
    assert timedelta(seconds=-1) < given < timedelta(seconds=0.1)


LIMIT = 4.0
"""Seconds that a command may take here; slow parts take shares of it."""

SLOW: list[tuple[dict[str, float], Exception | None, int, str]] = [
    ({"look": 0.9}, None, 503, "DATABASE_UNAVAILABLE"),
    ({"remember": 0.9}, None, 503, "DATABASE_UNAVAILABLE"),
    ({"remember": 0.45, "look": 0.45}, None, 503, "DATABASE_UNAVAILABLE"),
    ({"remember": 0.2, "look": 0.2, "command": 0.9}, None, 503, "WORKFLOW_UNAVAILABLE"),
    ({"command": 0.9, "look again": 0.9}, OrderClosed(), 503, "WORKFLOW_UNAVAILABLE"),
    ({"command": 2.0}, None, 503, "WORKFLOW_UNAVAILABLE"),
    ({"look again": 2.0}, OrderClosed(), 503, "WORKFLOW_UNAVAILABLE"),
    ({"command": 0.9, "alternatives": 0.9}, SeatsUnavailable(), 409, "SEATS_UNAVAILABLE"),
]


@pytest.mark.rest
@pytest.mark.parametrize("way", ["", "/an-order/seats"])
async def test_a_command_is_answered_in_time_whatever_takes_long(way: str) -> None:
    """All concurrently, each over services of its own, so that there is time to spare on a busy machine."""
    await asyncio.gather(*(_is_answered_in_time(way, *case) for case in SLOW))


async def _is_answered_in_time(
    way: str, seconds: dict[str, float], error: Exception | None, status: int, code: str
) -> None:
    services = ScriptedServices(seconds={what: LIMIT * share for what, share in seconds.items()}, error=error)
    async with client_of(app_over(services, command_timeout=timedelta(seconds=LIMIT))) as api:
        started_at = time.monotonic()
        method, key = "PUT" if way else "POST", {"Idempotency-Key": "sixteen-letters-"}
        body = {"flightId": FLIGHT, "seats": ["12A"]}
        reply = await api.request(method, f"/api/orders{way}", json=body, headers=key)
        took = time.monotonic() - started_at
    assert took < 1.7 * LIMIT, f"where both waits of {seconds} were added up it would be 1.8 limits"
    assert (reply.status_code, reply.json()["error"]) == (status, code), seconds
    # The reply also says whether it was sent.
    assert (reply.json().get("outcome") == "unknown") == (bool(services.sent) and status == 503), seconds


@pytest.mark.parametrize(
    ("afterwards", "status", "error"),
    [(EXPIRED, 409, "ORDER_EXPIRED"), (HELD, 503, "WORKFLOW_UNAVAILABLE"), (None, 503, "WORKFLOW_UNAVAILABLE")],
)
async def test_a_new_order_whose_booking_has_ended_unheard_is_told_as_the_ledger_has_it(
    afterwards: OrderSnapshot | None, status: int, error: str, api: httpx.AsyncClient, services: ScriptedServices
) -> None:
    services.looks, services.error = [afterwards], OrderClosed()
    reply = await api.post("/api/orders", json={"flightId": FLIGHT, "seats": ["12A"]})
    problem = reply.json()
    assert (reply.status_code, problem["error"]) == (status, error)
    # If seats may still be held, the reply has the order's id.
    assert ("orderToken" in problem, "set-cookie" in reply.headers) == (status == 503, status == 503)


@pytest.mark.parametrize(
    "refusal", [DeadlineExceeded(), SeatsUnavailable(conflicts=[{"seat": "12A", "status": "reserved"}])]
)
async def test_a_hold_whose_refusal_only_the_ledger_heard_is_told_why_and_marked_when_asked_again(
    refusal: SkyholdError, api: httpx.AsyncClient, services: ScriptedServices
) -> None:
    services.looks, services.error = [a_refused_hold(refusal)], OrderClosed()
    wish, key = {"flightId": FLIGHT, "seats": ["12A"]}, {"Idempotency-Key": secrets.token_hex(16)}
    replies = [await api.post("/api/orders", json=wish, headers=key) for _ in range(2)]
    assert [(reply.status_code, reply.json()["error"]) for reply in replies] == [(409, refusal.code)] * 2
    assert [reply.headers.get("Idempotency-Replayed") for reply in replies] == [None, "true"]


async def test_an_accepted_payment_is_told_as_pending(api: httpx.AsyncClient) -> None:
    reply = await api.post("/api/orders/an-order/pay", json={"paymentCode": "99999"})
    assert (reply.status_code, reply.json()) == (202, {"orderId": "an-order", "status": "PAYMENT_PENDING"})


async def test_an_order_that_is_cancelled_is_cancelled_again_without_a_message(
    api: httpx.AsyncClient, services: ScriptedServices
) -> None:
    services.looks = [CANCELLED]
    reply = await api.delete("/api/orders/an-order")
    assert (reply.status_code, reply.content) == (204, b"")
    assert services.sent == []


@pytest.mark.parametrize(("afterwards", "status"), [(CANCELLED, 204), (DECLINED, 409), (HELD, 503), (None, 404)])
async def test_a_cancel_that_comes_too_late_is_judged_by_how_the_order_ended(
    afterwards: OrderSnapshot | None, status: int, api: httpx.AsyncClient, services: ScriptedServices
) -> None:
    services.looks, services.error = [HELD, afterwards], OrderClosed()
    assert (await api.delete("/api/orders/an-order")).status_code == status


@pytest.mark.parametrize(
    ("afterwards", "error"), [(CANCELLED, "ORDER_CLOSED"), (DECLINED, "ORDER_CLOSED"), (EXPIRED, "ORDER_EXPIRED")]
)
async def test_a_change_and_a_payment_that_come_too_late_hear_how_the_order_ended(
    afterwards: OrderSnapshot, error: str, api: httpx.AsyncClient, services: ScriptedServices
) -> None:
    services.error = OrderClosed()
    for method, way, body in (("PUT", "seats", {"seats": ["12A"]}), ("POST", "pay", {"paymentCode": "99999"})):
        services.looks = [HELD, afterwards]
        reply = await api.request(method, f"/api/orders/an-order/{way}", json=body)
        assert (reply.status_code, reply.json()["error"]) == (409, error)


async def test_a_cancel_while_paying_is_refused(api: httpx.AsyncClient, services: ScriptedServices) -> None:
    services.error = PaymentInProgress()
    reply = await api.delete("/api/orders/an-order")
    assert (reply.status_code, reply.json()["error"]) == (409, "PAYMENT_IN_PROGRESS")


@pytest.mark.parametrize("order_id", ["a" * 65, "a.b", "a%00", "ä", "a b", "'; DROP TABLE orders"])
@pytest.mark.parametrize("way", ["", "/status", "/history", "/seats", "/pay"])
async def test_an_order_id_that_could_never_exist_is_not_found(
    order_id: str, way: str, api: httpx.AsyncClient, services: ScriptedServices
) -> None:
    method, body = {"/seats": ("PUT", {"seats": ["1A"]}), "/pay": ("POST", {"paymentCode": "99999"})}.get(
        way, ("GET", None)
    )
    reply = await api.request(method, f"/api/orders/{order_id}{way}", json=body)
    assert (reply.status_code, reply.json()["error"]) == (404, "ORDER_NOT_FOUND")
    assert services.sent == []


@pytest.mark.parametrize("flight_id", ["FL101", "", "550e8400", FLIGHT + "0"])
async def test_a_flight_id_that_could_never_exist_is_not_found(flight_id: str, api: httpx.AsyncClient) -> None:
    reply = await api.post("/api/orders", json={"flightId": flight_id, "seats": ["12A"]})
    assert (reply.status_code, reply.json()["error"]) == (404, "FLIGHT_NOT_FOUND")
