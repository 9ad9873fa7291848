"""Live events with API and worker: listeners see the commands of customers over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from skyhold.bootstrap.api import open_api
from skyhold.bootstrap.workers import open_worker
from skyhold.settings import Settings
from skyhold_local.embedded.servers import Servers
from support.documents import undocumented_headers
from support.services import FL101, Service
from support.streams import Api, Event, served
from support.web import client_of


@pytest.fixture
async def api(settings: Settings, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    """The API on a port, and a worker whose gateway fails for all codes except the fixed ones."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", servers.temporal_address)
    unlucky = settings.model_copy(update={"payment_failure_rate": 1.0})
    async with open_worker(unlucky) as running, running.worker, open_api(unlucky) as app, served(app) as api:
        yield api


@pytest.fixture
async def service(api: Api) -> AsyncIterator[Service]:
    """A customer of the same API."""
    assert api.app is not None
    async with client_of(api.app) as client:
        yield Service(client)


def told(event: Event | None) -> dict[str, str]:
    assert event is not None
    return {seat["id"]: seat["status"] for seat in event.data["seats"]}


async def test_who_watches_a_flight_sees_what_customers_do(api: Api, service: Service) -> None:
    stream = await api.watch(FL101)
    assert len(told(await stream.next())) == 120
    order = await service.hold("12A", "12B")
    assert told(await stream.next()) == {"12A": "reserved", "12B": "reserved"}
    await service.change(order["orderId"], "12B", "12C")
    assert told(await stream.next()) == {"12A": "available", "12C": "reserved"}
    await service.pay(order["orderId"], "99999")
    assert told(await stream.next()) == {"12B": "booked", "12C": "booked"}
    cancelled = await service.hold("14A")
    assert told(await stream.next()) == {"14A": "reserved"}
    await service.cancel(cancelled["orderId"])
    assert told(await stream.next()) == {"14A": "available"}


async def test_a_customer_sees_every_attempt_of_a_payment_and_its_end(api: Api, service: Service) -> None:
    order = await service.hold("12A")
    stream = await api.follow(order["orderId"])
    assert await stream.next() is not None
    await service.pay(order["orderId"], "12345")
    events = await stream.rest()
    seen = [(event.data["status"], event.data["paymentAttempts"]) for event in events]
    # The last refusal is sent as well, so a step may be seen more than once.
    attempts = list(dict.fromkeys(attempt for status, attempt in seen if status == "PAYMENT_PROCESSING"))
    assert attempts == [1, 2, 3]
    assert (seen[-1], events[-1].data["failureCode"]) == (("FAILED", 3), "PAYMENT_FAILED")
    assert (await api.follow(order["orderId"], last_event_id=events[-1].id)).status == 204


async def test_the_heads_of_streams_are_as_the_contract_says(api: Api, service: Service) -> None:
    order = await service.hold("11A")
    assert api.app is not None
    paths = api.app.openapi()["paths"]
    watched, followed = (paths[f"/api/{what}/events"]["get"] for what in ("flights/{flightId}", "orders/{orderId}"))
    last = await api.follow(order["orderId"])
    await service.cancel(order["orderId"])
    ended = await api.follow(order["orderId"], last_event_id=(await last.rest())[-1].id)
    for operation, status, stream in (
        (watched, 200, await api.watch(FL101)),
        (watched, 404, await api.watch("nowhere")),
        (followed, 200, last),
        (followed, 204, ended),
    ):
        assert stream.status == status
        assert undocumented_headers(operation, status, stream.headers) == set()
        documented = {name.lower() for name in operation["responses"][str(status)]["headers"]}
        assert documented <= set(stream.headers), "those of streams are all required"


async def test_a_guest_follows_an_order_by_its_cookie(api: Api, service: Service) -> None:
    order = await service.hold("12A")
    cookie = "; ".join(f"{name}={value}" for name, value in service.api.cookies.items())
    stream = await api.get(f"/api/orders/{order['orderId']}/events", headers={"Cookie": cookie})
    event = await stream.next()
    assert event is not None
    assert event.data["orderId"] == order["orderId"]
    assert (await api.get(f"/api/orders/{order['orderId']}/events")).status == 404
