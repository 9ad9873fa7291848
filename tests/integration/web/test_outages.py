"""Replies of the API while a server is unavailable, and its recovery. These tests stop servers of their own."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from skyhold.bootstrap import ledger
from skyhold.bootstrap.workers import open_worker
from skyhold.settings import Settings
from skyhold.workflows.booking_client import COMMAND_TIMEOUT
from skyhold_local.embedded.child import Child
from skyhold_local.embedded.servers import Servers, running_servers
from support.absences import Return, killed, stopped
from support.markup import markup_of
from support.services import FL101, SECRET_KEY, Service, eventually, running_api, running_service

pytestmark = pytest.mark.rest

COMMANDS_ANSWER_WITHIN = 3.0 + 2.0
"""The promise of docs/rules.md#numbers, plus a margin for a busy machine; without a bound it would be minutes."""

RECOVERS_WITHIN = 10.0 + 5.0


@pytest.fixture
def patience() -> timedelta:
    """The command timeout of production, because these tests are about it."""
    return COMMAND_TIMEOUT


@pytest.fixture(scope="module")
def own_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with running_servers(tmp_path_factory.mktemp("outages")) as servers:
        yield servers


@pytest.fixture
async def own_settings(own_servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("TEMPORAL_ADDRESS", own_servers.temporal_address)
    settings = Settings(
        database_url=own_servers.database_url,
        redis_url=own_servers.redis_url,
        secret_key=SECRET_KEY,
        rate_limit=None,
        max_holds_per_guest=1000,
        temporal_task_queue=f"outages-{secrets.token_hex(4)}",
        payment_simulated_latency="0s",  # type: ignore[arg-type]
        payment_failure_rate=0,
    )
    await ledger.migrate(settings)
    await ledger.seed(settings)
    return settings


@pytest.fixture
async def service(own_settings: Settings) -> AsyncIterator[Service]:
    async with running_service(own_settings) as service:
        yield service


@pytest.fixture
def free_seat() -> Callable[[], str]:
    """Return a function that returns seats that no other test of this module uses."""
    return _SEATS.pop


_SEATS = [f"{row}{letter}" for row in range(1, 21) for letter in "ABCDEF"]


async def _is(service: Service, status: str) -> dict[str, Any]:
    async def readiness() -> dict[str, Any] | None:
        body: dict[str, Any] = (await service.api.get("/readyz")).json()
        return body if body["status"] == status else None

    return await eventually(readiness)


async def _pages(service: Service, held: dict[str, Any]) -> list[httpx.Response]:
    paths = ("/", f"/flights/{FL101}", f"/orders/{held['orderId']}")
    return await asyncio.gather(*(service.api.get(path) for path in paths))


@pytest.mark.parametrize("away", [pytest.param(killed, marks=pytest.mark.long), stopped])
async def test_without_temporal_reading_works_and_commands_are_unknown_until_it_is_back(
    away: Callable[[Child], Return],
    own_servers: Servers,
    service: Service,
    free_seat: Callable[[], str],
) -> None:
    held = await service.hold(free_seat())
    bring_back = away(own_servers.temporal)
    try:
        assert (await service.status(held["orderId"]))["status"] == "SEATS_RESERVED"
        assert (await service.get(f"/api/flights/{FL101}"))["seatMap"]["rows"] == 20
        assert [reply.status_code for reply in await _pages(service, held)] == [200] * 3
        started_at = time.monotonic()
        replies = await asyncio.gather(
            service.order([free_seat()]),
            service.change(held["orderId"], free_seat()),
            service.pay(held["orderId"]),
            service.cancel(held["orderId"]),
        )
        assert time.monotonic() - started_at < COMMANDS_ANSWER_WITHIN
        assert [(r.status_code, r.json()["error"]) for r in replies] == [(503, "WORKFLOW_UNAVAILABLE")] * 4
        assert all(reply.json()["outcome"] == "unknown" for reply in replies)
        body = await _is(service, "degraded")
        assert body["checks"]["temporal"].startswith("unavailable")
        assert body["checks"]["postgresql"] == "ok"
    finally:
        bring_back()
    back_at = time.monotonic()

    async def holds_again() -> bool:
        return (await service.order([free_seat()])).status_code == 201

    assert await eventually(holds_again)
    await _is(service, "ready")
    assert time.monotonic() - back_at < RECOVERS_WITHIN


@pytest.mark.parametrize("away", [pytest.param(killed, marks=pytest.mark.long), stopped])
async def test_without_postgresql_everything_is_a_problem_until_it_is_back(
    away: Callable[[Child], Return],
    own_servers: Servers,
    service: Service,
    free_seat: Callable[[], str],
) -> None:
    held = await service.hold(free_seat())
    bring_back = away(own_servers.postgres)
    try:
        started_at = time.monotonic()
        replies = await asyncio.gather(
            service.api.get("/api/flights"),
            service.api.get(f"/api/orders/{held['orderId']}/status"),
            service.order([free_seat()]),
            service.pay(held["orderId"]),
        )
        assert time.monotonic() - started_at < COMMANDS_ANSWER_WITHIN
        assert [(reply.status_code, reply.json()["error"]) for reply in replies] == [(503, "DATABASE_UNAVAILABLE")] * 4
        assert all("outcome" not in reply.json() for reply in replies)
        pages = await _pages(service, held)
        assert [(page.status_code, page.headers["retry-after"]) for page in pages] == [(503, "2")] * 3
        assert all("This is our fault" in markup_of(page).said for page in pages)
        body = await _is(service, "unavailable")
        assert body["checks"]["postgresql"].startswith("unavailable")
    finally:
        bring_back()
    back_at = time.monotonic()
    await _is(service, "ready")
    assert (await service.status(held["orderId"]))["status"] == "SEATS_RESERVED"
    assert [page.status_code for page in await _pages(service, held)] == [200] * 3
    assert (await service.order([free_seat()])).status_code == 201
    assert time.monotonic() - back_at < RECOVERS_WITHIN


async def test_a_restart_of_postgresql_between_two_reads_is_not_noticed(own_servers: Servers, service: Service) -> None:
    await asyncio.gather(*(service.get("/api/flights") for _ in range(8)))
    own_servers.postgres.kill()
    own_servers.postgres.start()
    await asyncio.gather(*(service.get("/api/flights") for _ in range(8)))


@pytest.mark.parametrize("away", [pytest.param(killed, marks=pytest.mark.long), stopped])
async def test_without_redis_booking_goes_on_and_readiness_says_degraded(
    away: Callable[[Child], Return],
    own_servers: Servers,
    service: Service,
    free_seat: Callable[[], str],
) -> None:
    bring_back = away(own_servers.redis)
    try:
        held = await service.hold(free_seat())
        await service.pay(held["orderId"])
        assert (await service.outcome(held["orderId"]))["status"] == "CONFIRMED"
        body = await _is(service, "degraded")
        assert body["checks"]["redis"].startswith("unavailable")
    finally:
        bring_back()
    await _is(service, "ready")


async def test_an_api_that_starts_before_its_servers_serves_when_they_are_there(
    own_servers: Servers, own_settings: Settings, free_seat: Callable[[], str]
) -> None:
    for child in (own_servers.temporal, own_servers.redis, own_servers.postgres):
        child.kill()
    try:
        async with running_api(own_settings) as early:
            await _is(early, "unavailable")
            assert (await early.api.get("/livez")).status_code == 200
            for child in (own_servers.postgres, own_servers.redis, own_servers.temporal):
                child.start()
            body = await _is(early, "degraded")
            assert body["checks"]["worker"].startswith("unavailable: no worker")
            async with running_service(own_settings):
                await _is(early, "ready")
                assert await early.hold(free_seat())
    finally:
        for child in (own_servers.postgres, own_servers.redis, own_servers.temporal):
            if not child.is_running():
                child.start()


async def test_without_a_worker_a_command_is_unknown_and_nothing_is_held_when_one_comes_too_late(
    own_settings: Settings, free_seat: Callable[[], str]
) -> None:
    seat = free_seat()
    async with running_api(own_settings) as lonely:
        started_at = time.monotonic()
        reply = await lonely.order([seat])
        assert time.monotonic() - started_at < COMMANDS_ANSWER_WITHIN
        assert (reply.status_code, reply.json()["outcome"]) == (503, "unknown")
        unknown = reply.json()
        address, bearer = f"/api/orders/{unknown['orderId']}", {"Authorization": f"Bearer {unknown['orderToken']}"}
        async with running_service(own_settings) as service:

            async def is_judged() -> bool:
                return (await service.api.get(f"{address}/status", headers=bearer)).status_code == 200

            await eventually(is_judged)
            # The cookie came with the reply "unknown", so its guest can read the order.
            status = await lonely.outcome(unknown["orderId"])
            assert (status["status"], status["failureCode"]) == ("FAILED", "INTERNAL")
            assert (await service.seat(seat))["status"] == "available"


async def test_a_payment_that_no_worker_saw_in_time_is_not_made_when_one_comes(
    own_settings: Settings, free_seat: Callable[[], str]
) -> None:
    async with running_api(own_settings) as lonely:
        async with open_worker(own_settings) as running, running.worker:
            held = await lonely.hold(free_seat())
        key = {"Idempotency-Key": secrets.token_hex(16)}
        address, body = f"/api/orders/{held['orderId']}/pay", {"paymentCode": "99999"}
        started_at = time.monotonic()
        reply = await lonely.api.post(address, json=body, headers=key)
        assert time.monotonic() - started_at < COMMANDS_ANSWER_WITHIN
        assert (reply.status_code, reply.json()["outcome"]) == (503, "unknown")
        async with open_worker(own_settings) as running, running.worker:
            # A retry under the same key gets the outcome: the command was late, and was not carried out.
            async def is_known() -> dict[str, Any] | None:
                again = await lonely.api.post(address, json=body, headers=key)
                return None if again.status_code == 503 else again.json()

            assert (await eventually(is_known))["error"] == "DEADLINE_EXCEEDED"
            status = await lonely.status(held["orderId"])
            assert (status["status"], status["paymentAttempts"]) == ("SEATS_RESERVED", 0)
            assert (await lonely.pay(held["orderId"])).status_code == 202
            assert (await lonely.outcome(held["orderId"]))["status"] == "CONFIRMED"
