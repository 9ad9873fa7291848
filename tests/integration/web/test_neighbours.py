"""Two Skyholds on one host: browsers send the same cookies to both, since cookies ignore ports."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from skyhold.bootstrap.api import open_api
from skyhold.bootstrap.workers import open_worker
from skyhold.postgresql.pools import Pool
from skyhold.settings import Settings
from skyhold.web.identity import COOKIE_SECONDS
from skyhold_local.embedded.servers import Servers
from support.services import FL101, SECRET_KEY, Service
from support.web import COOKIE

pytestmark = pytest.mark.rest

OF_BEFORE = "skyhold-guest"
OTHER_KEY = "another key that only tests have, of 32 characters and more"


@pytest.fixture
async def app(settings: Settings, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FastAPI]:
    """One Skyhold, with a worker."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", servers.temporal_address)
    async with open_worker(settings) as running, running.worker, open_api(settings) as app:
        yield app


@contextlib.asynccontextmanager
async def _browser(*apps: FastAPI) -> AsyncIterator[list[Service]]:
    """Yield one browser with all of them: it sends each app's cookies to the others, too."""
    jar = httpx.Cookies()
    async with contextlib.AsyncExitStack() as stack:
        services = []
        for app in apps:
            client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://skyhold.test")
            services.append(Service(await stack.enter_async_context(client)))
            client._cookies = jar
        yield services


async def _orders(service: Service) -> list[str]:
    return [order["orderId"] for order in (await service.get("/api/orders"))["orders"]]


@pytest.mark.parametrize("secret_key", [OTHER_KEY, SECRET_KEY], ids=["a key of its own", "the same key"])
async def test_two_on_one_host_each_know_their_own_guest(
    secret_key: str, app: FastAPI, settings: Settings, pool: Pool
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        # The app knows its cookie's name now; then the ledger gets another id.
        [one] = await stack.enter_async_context(_browser(app))
        await one.hold("1A")
        await pool.execute("UPDATE instance SET id = $1", uuid4())
        other = await stack.enter_async_context(open_api(settings.model_copy(update={"secret_key": secret_key})))
        here, there = await stack.enter_async_context(_browser(app, other))
        mine = [(await here.hold("2A"))["orderId"], (await there.hold("2B"))["orderId"]]
        for service, order_id in zip((here, there, here), (*mine, mine[0]), strict=True):
            assert "set-cookie" not in (await service.api.get("/")).headers
            assert await _orders(service) == [order_id]
            assert (await service.status(order_id))["status"] == "SEATS_RESERVED"


async def test_a_cookie_of_the_version_before_is_read_and_followed_by_one_of_its_own_name(app: FastAPI) -> None:
    identities = app.state.services.identities
    async with _browser(app) as [service]:
        held = await service.hold("3A")
        cookie = service.api.cookies[COOKIE]
        service.api.cookies.clear()
        service.api.cookies.set(OF_BEFORE, cookie)

        assert await _orders(service) == [held["orderId"]]
        page = await service.api.get("/")
        assert [told.partition(";")[0] for told in page.headers.get_list("set-cookie")] == [f"{COOKIE}={cookie}"]
        assert f"Max-Age={COOKIE_SECONDS}" in page.headers["set-cookie"]
        # This browser may still send requests to a process of the previous version, which knows no other name.
        assert service.api.cookies[OF_BEFORE] == cookie
        assert "set-cookie" not in (await service.api.get("/")).headers

        service.api.cookies.set(OF_BEFORE, identities.cookie_of(identities.new_guest()))
        assert await _orders(service) == [held["orderId"]]


async def test_an_order_also_follows_a_cookie_of_before_by_one_of_its_own_name(app: FastAPI) -> None:
    identities = app.state.services.identities
    cookie = identities.cookie_of(identities.new_guest())
    async with _browser(app) as [service]:
        service.api.cookies.set(OF_BEFORE, cookie)
        await service.hold("4A")
        assert dict(service.api.cookies) == {OF_BEFORE: cookie, COOKIE: cookie}


@pytest.mark.parametrize("name", [OF_BEFORE, "skyhold-guest-0123456789ab", f"__Host-{OF_BEFORE}", "skyhold"])
async def test_a_cookie_that_may_belong_to_others_is_neither_overwritten_nor_deleted(name: str, app: FastAPI) -> None:
    async with _browser(app) as [service]:
        service.api.cookies.set(name, "of.others")
        for path in ("/", f"/flights/{FL101}", "/orders/another"):
            told = (await service.api.get(path)).headers.get_list("set-cookie")
            assert all(each.startswith(f"{COOKIE}=") for each in told), path
        await service.hold("5A")
        assert set(service.api.cookies) == {name, COOKIE}
        assert service.api.cookies[name] == "of.others"


async def test_an_invalid_cookie_under_our_own_name_is_replaced(app: FastAPI) -> None:
    async with _browser(app) as [service]:
        service.api.cookies.set(COOKIE, "of.an-earlier-key", domain="skyhold.test", path="/")
        held = await service.hold("6A")
        assert await _orders(service) == [held["orderId"]]


async def test_every_process_of_one_skyhold_gives_the_cookie_the_same_name(app: FastAPI, settings: Settings) -> None:
    async with open_api(settings) as second, _browser(app, second) as [here, there]:
        held = await here.hold("7A")
        assert await _orders(there) == [held["orderId"]]


async def test_while_the_id_of_the_instance_cannot_be_read_no_guest_is_replaced(app: FastAPI, pool: Pool) -> None:
    async with _browser(app) as [service]:
        service.api.cookies.set(COOKIE, "of.somebody")
        await pool.execute("ALTER TABLE instance RENAME TO elsewhere")
        for method, path in (("GET", "/"), ("GET", "/api/orders"), ("GET", "/orders/x"), ("POST", "/api/orders")):
            body = {"flightId": FL101, "seats": ["8A"]} if method == "POST" else None
            reply = await service.api.request(method, path, json=body)
            assert (reply.status_code, "set-cookie" in reply.headers) == (503, False), path
        assert (await service.api.get("/api/flights")).status_code == 200
        assert (await service.api.get("/livez")).status_code == 200
        assert await pool.fetchval("SELECT count(*) FROM seats WHERE status = 'reserved'") == 0

        await pool.execute("ALTER TABLE elsewhere RENAME TO instance")
        assert "set-cookie" in (await service.api.get("/")).headers
        await pool.execute("ALTER TABLE instance RENAME TO elsewhere")
        await service.hold("8A")
