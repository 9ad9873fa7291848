"""Every row of the table of errors (docs/rules.md#errors), provoked over HTTP on real servers."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest

from skyhold.bootstrap.api import open_api
from skyhold.bootstrap.workers import open_worker
from skyhold.postgresql.pools import Pool
from skyhold.settings import Settings
from skyhold.workflows.booking_client import COMMAND_TIMEOUT
from skyhold_local.embedded.servers import Servers
from support.services import FL101, SECRET_KEY, Service, eventually, running_api
from support.web import client_of

pytestmark = pytest.mark.rest

FL102 = "550e8400-e29b-41d4-a716-446655440002"

MEMBERS = {"type", "title", "status", "detail", "instance", "error", "message", "requestId"}


@dataclass
class Scene:
    """A service, and the means to provoke its errors."""

    service: Service
    settings: Settings
    pool: Pool

    @property
    def api(self) -> httpx.AsyncClient:
        return self.service.api

    async def post(self, body: Any, **headers: str) -> httpx.Response:
        return await self.api.post("/api/orders", json=body, headers=headers)


async def invalid_request(scene: Scene) -> httpx.Response:
    return await scene.post({"flightId": FL101, "seats": "1A"})


async def invalid_seats(scene: Scene) -> httpx.Response:
    return await scene.post({"flightId": FL101, "seats": ["1A", "1A", "1Z", "", 7]})


async def invalid_payment_code(scene: Scene) -> httpx.Response:
    return await scene.service.pay((await scene.service.hold("1A"))["orderId"], "1234")


async def foreign_origin(scene: Scene) -> httpx.Response:
    return await scene.post({"flightId": FL101, "seats": ["1A"]}, Origin="https://evil.example")


async def flight_not_found(scene: Scene) -> httpx.Response:
    return await scene.post({"flightId": FL101.replace("0001", "9999"), "seats": ["1A"]})


async def order_not_found(scene: Scene) -> httpx.Response:
    return await scene.api.get("/api/orders/none-of-this-name")


async def not_found(scene: Scene) -> httpx.Response:
    return await scene.api.get("/api/nothing")


async def method_not_allowed(scene: Scene) -> httpx.Response:
    return await scene.api.patch("/api/orders")


async def seats_unavailable(scene: Scene) -> httpx.Response:
    await scene.service.hold("1A", "1B")
    return await scene.service.order(["1A", "1B", "1C"])


async def price_changed(scene: Scene) -> httpx.Response:
    return await scene.post({"flightId": FL101, "seats": ["1A"], "expectedTotalCents": 1})


async def flight_departed(scene: Scene) -> httpx.Response:
    await scene.pool.execute("UPDATE flights SET departs_at = clock_timestamp() - interval '1 s' WHERE id = $1", FL102)
    return await scene.service.order(["1A"], flight_id=FL102)


async def order_expired(scene: Scene) -> httpx.Response:
    held = await scene.service.hold("1A")
    # It has lapsed, but no step has noticed yet.
    await scene.pool.execute("UPDATE orders SET expires_at = clock_timestamp() WHERE id = $1", held["orderId"])
    return await scene.service.change(held["orderId"], "1B")


async def order_closed(scene: Scene) -> httpx.Response:
    held = await scene.service.hold("1A")
    await scene.service.cancel(held["orderId"])
    return await scene.service.pay(held["orderId"])


async def payment_in_progress(scene: Scene) -> httpx.Response:
    held = await scene.service.hold("1A")
    await scene.service.pay(held["orderId"], "12345")
    return await scene.service.cancel(held["orderId"])


async def hold_limit(scene: Scene) -> httpx.Response:
    await scene.service.hold("1A")
    await scene.service.hold("1B")
    return await scene.service.order(["1C"])


async def too_many_changes(scene: Scene) -> httpx.Response:
    held = await scene.service.hold("1A")
    await scene.pool.execute("UPDATE orders SET changes = 200 WHERE id = $1", held["orderId"])
    return await scene.service.change(held["orderId"], "1B")


async def precondition_failed(scene: Scene) -> httpx.Response:
    held = await scene.service.hold("1A")
    address = f"/api/orders/{held['orderId']}/seats"
    return await scene.api.put(address, json={"seats": ["1B"]}, headers={"If-Match": '"7"'})


async def order_changed(scene: Scene) -> httpx.Response:
    held = await scene.service.hold("1A")
    # A step that its workflow does not know, as after a reset.
    await scene.pool.execute("UPDATE orders SET step = step + 1 WHERE id = $1", held["orderId"])
    return await scene.service.change(held["orderId"], "1B")


async def given_up(scene: Scene) -> httpx.Response:
    held = await scene.service.hold("1A")
    address, key = f"/api/orders/{held['orderId']}/seats", {"Idempotency-Key": secrets.token_hex(16)}

    async def ask() -> httpx.Response:
        return await scene.api.put(address, json={"seats": ["1B"]}, headers=key)

    async with scene.pool.acquire() as holder, holder.transaction():
        await holder.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        await holder.execute("SELECT FROM orders WHERE id = $1 FOR UPDATE", held["orderId"])
        assert (await ask()).json()["outcome"] == "unknown"

    async def known() -> httpx.Response | None:
        reply = await ask()
        return None if reply.status_code == 503 else reply

    return await eventually(known)


async def body_too_large(scene: Scene) -> httpx.Response:
    return await scene.post({"flightId": FL101, "seats": ["1A"] * 100_000})


async def unsupported_media_type(scene: Scene) -> httpx.Response:
    return await scene.api.post("/api/orders", content="flightId=1", headers={"Content-Type": "text/plain"})


async def idempotency_key_reused(scene: Scene) -> httpx.Response:
    key = secrets.token_hex(16)
    await scene.post({"flightId": FL101, "seats": ["1A"]}, **{"Idempotency-Key": key})
    return await scene.post({"flightId": FL101, "seats": ["1B"]}, **{"Idempotency-Key": key})


async def rate_limited(scene: Scene) -> httpx.Response:
    limited = scene.settings.model_copy(update={"rate_limit": "2/minute"})
    async with running_api(limited) as service:
        await service.order(["2A"])
        replies = [await service.api.get("/api/orders") for _ in range(3)]
    return replies[-1]


async def internal(scene: Scene) -> httpx.Response:
    held = await scene.service.hold("1A")
    # A row that our code never writes and cannot read.
    await scene.pool.execute("UPDATE orders SET policy = '[]' WHERE id = $1", held["orderId"])
    return await scene.api.get(f"/api/orders/{held['orderId']}")


async def workflow_unavailable(scene: Scene) -> httpx.Response:
    nobody = scene.settings.model_copy(update={"temporal_task_queue": "a-queue-without-a-worker"})
    async with running_api(nobody) as service:
        return await service.order(["1A"])


async def database_unavailable(scene: Scene) -> httpx.Response:
    nowhere = scene.settings.model_copy(update={"database_url": "postgresql://nobody@127.0.0.1:1/nothing"})
    async with running_api(nowhere) as service:
        return await service.order(["1A"])


Provoke = Callable[[Scene], Awaitable[httpx.Response]]

TABLE: list[tuple[Provoke, int, str, set[str]]] = [
    (invalid_request, 400, "INVALID_REQUEST", {"errors"}),
    (invalid_seats, 400, "INVALID_SEATS", {"seats"}),
    (invalid_payment_code, 400, "INVALID_PAYMENT_CODE", set()),
    (foreign_origin, 403, "FOREIGN_ORIGIN", set()),
    (flight_not_found, 404, "FLIGHT_NOT_FOUND", set()),
    (order_not_found, 404, "ORDER_NOT_FOUND", set()),
    (not_found, 404, "NOT_FOUND", set()),
    (method_not_allowed, 405, "METHOD_NOT_ALLOWED", set()),
    (seats_unavailable, 409, "SEATS_UNAVAILABLE", {"conflicts", "alternatives"}),
    (price_changed, 409, "PRICE_CHANGED", {"totalPriceCents", "currency"}),
    (flight_departed, 409, "FLIGHT_DEPARTED", set()),
    (order_expired, 409, "ORDER_EXPIRED", set()),
    (order_closed, 409, "ORDER_CLOSED", set()),
    (payment_in_progress, 409, "PAYMENT_IN_PROGRESS", set()),
    (hold_limit, 409, "HOLD_LIMIT", {"limit"}),
    (too_many_changes, 409, "TOO_MANY_CHANGES", {"limit"}),
    (precondition_failed, 412, "ORDER_CHANGED", {"version"}),
    (order_changed, 409, "ORDER_CHANGED", set()),
    (given_up, 409, "DEADLINE_EXCEEDED", set()),
    (body_too_large, 413, "BODY_TOO_LARGE", set()),
    (unsupported_media_type, 415, "UNSUPPORTED_MEDIA_TYPE", set()),
    (idempotency_key_reused, 422, "IDEMPOTENCY_KEY_REUSED", set()),
    (rate_limited, 429, "RATE_LIMITED", set()),
    (internal, 500, "INTERNAL", set()),
    (workflow_unavailable, 503, "WORKFLOW_UNAVAILABLE", {"outcome", "orderId", "orderToken"}),
    (database_unavailable, 503, "DATABASE_UNAVAILABLE", set()),
]


@pytest.fixture
def patience(provoke: Provoke, patience: timedelta) -> timedelta:
    """The usual timeout, except for the errors that a timeout causes."""
    return COMMAND_TIMEOUT if provoke in {given_up, workflow_unavailable} else patience


@pytest.fixture
async def scene(
    settings: Settings, servers: Servers, monkeypatch: pytest.MonkeyPatch, pool: Pool
) -> AsyncIterator[Scene]:
    monkeypatch.setenv("TEMPORAL_ADDRESS", servers.temporal_address)
    slow = {"payment_simulated_latency": (timedelta(seconds=4),) * 2, "max_holds_per_guest": 2}
    settings = settings.model_copy(update=slow)
    async with (
        open_worker(settings) as running,
        running.worker,
        open_api(settings) as app,
        client_of(app) as client,
    ):
        yield Scene(Service(client), settings, pool)


@pytest.mark.parametrize(
    ("provoke", "status", "error", "more"), TABLE, ids=[f"{status} {error}" for _, status, error, _ in TABLE]
)
async def test_every_error_of_the_table_is_a_problem_of_its_status_and_code(
    provoke: Provoke, status: int, error: str, more: set[str], scene: Scene
) -> None:
    async with asyncio.timeout(30):
        reply = await provoke(scene)
    problem = reply.json()
    assert (reply.status_code, problem["error"]) == (status, error), reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    assert problem["status"] == status
    assert problem["message"] == problem["detail"]
    assert problem["requestId"] == reply.headers["x-request-id"]
    assert problem["requestId"] in problem["instance"]
    assert set(problem) == MEMBERS | more | ({"errors"} & set(problem))
    assert ("retry-after" in reply.headers) == (status in {429, 503})
    assert SECRET_KEY not in reply.text
