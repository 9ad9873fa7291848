"""Commands behind a proxy: those of our own pages pass, those of pages that we do not know are refused before all else.

The proxies are small ones of ours, over sockets; the real programs are in tests/integration/proxies.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from skyhold.bootstrap.api import open_api
from skyhold.bootstrap.workers import open_worker
from skyhold.cli import api_client, doctor
from skyhold.embedded.servers import Servers
from skyhold.settings import Settings
from skyhold.stores.postgres import Pool
from support.proxies import NOTHING_BUT_PROXY_PASS, Manners, Proxy, proxying
from support.services import FL101, Service
from support.streams import served

FORWARDS_HOST = Manners(adds={"X-Forwarded-Host": "fly.test"})

Behind = Callable[..., AbstractAsyncContextManager[None]]


@pytest.fixture
async def behind(settings: Settings, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Behind:
    """Give `behind(proxy, **settings)`: the API with a worker, behind this proxy."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", servers.temporal_address)

    @contextlib.asynccontextmanager
    async def behind(proxy: Proxy, **changes: Any) -> AsyncIterator[None]:
        mine = settings.model_copy(update=changes)
        async with open_worker(mine) as running, running.worker, open_api(mine) as app, served(app) as api:
            proxy.upstream = f"http://{api.host}:{api.port}"
            yield

    return behind


@contextlib.asynccontextmanager
async def _page_at(proxy: Proxy, origin: str) -> AsyncIterator[Service]:
    """A browser that shows a page of this origin: over plain HTTP it says no more than that of where it is."""
    async with httpx.AsyncClient(base_url=proxy.address(), headers={"Origin": origin}, timeout=20) as client:
        yield Service(client)


async def _held_seats(pool: Pool) -> int:
    return int(await pool.fetchval("SELECT count(*) FROM seats WHERE status = 'reserved'"))


async def test_a_page_behind_a_proxy_that_hides_its_host_is_refused_before_seats_are_held(
    behind: Behind, pool: Pool
) -> None:
    with capture_logs() as logged:
        async with proxying() as proxy, behind(proxy), _page_at(proxy, "http://fly.test") as page:
            for _ in range(2):
                refused = await page.order(["1A"])
                assert (refused.status_code, refused.json()["error"]) == (403, "FOREIGN_ORIGIN")
                assert "PUBLIC_URL" in refused.json()["detail"]
                assert "set-cookie" not in refused.headers
            assert (await page.api.get(f"/api/flights/{FL101}")).status_code == 200
            assert (await page.get("/api/orders"))["orders"] == []
    assert await _held_seats(pool) == 0
    assert await pool.fetchval("SELECT count(*) FROM orders") == 0
    warnings = [line for line in logged if "PUBLIC_URL" in line["event"]]
    assert [line["log_level"] for line in warnings] == ["warning"]
    assert "fly.test" not in str(warnings)


@pytest.mark.parametrize(
    ("manners", "changes"),
    [
        (NOTHING_BUT_PROXY_PASS, {"public_url": "http://fly.test"}),
        (FORWARDS_HOST, {"trusted_proxies": ("127.0.0.1/32",)}),
        (FORWARDS_HOST, {"trusted_proxies": ("127.0.0.1/32",), "public_url": "http://elsewhere.test"}),
        (NOTHING_BUT_PROXY_PASS, {"cors_origins": ("http://fly.test",)}),
        (Manners(adds={"Host": "fly.test"}), {}),
    ],
    ids=["PUBLIC_URL", "trusted X-Forwarded-Host", "the same beside PUBLIC_URL", "CORS_ORIGINS", "Host passed on"],
)
async def test_a_page_at_an_address_that_is_known_books_as_its_guest(
    manners: Manners, changes: dict[str, Any], behind: Behind
) -> None:
    async with proxying(manners) as proxy, behind(proxy, **changes), _page_at(proxy, "http://fly.test") as page:
        held = await page.hold("1A")
        assert (await page.status(held["orderId"]))["status"] == "SEATS_RESERVED"
        assert (await page.change(held["orderId"], "1B")).status_code == 200
        assert (await page.cancel(held["orderId"])).status_code == 204


async def test_a_foreign_page_with_the_orders_token_is_let_in_without_the_cookie(behind: Behind) -> None:
    async with proxying() as proxy, behind(proxy), _page_at(proxy, "http://elsewhere.test") as page:
        del page.api.headers["Origin"]
        held, other = await page.hold("1A"), await page.hold("1B")
        page.api.headers["Origin"] = "http://elsewhere.test"
        page.api.headers["Authorization"] = f"Bearer {held['orderToken']}"
        assert (await page.change(held["orderId"], "1C")).status_code == 200
        refused = await page.cancel(other["orderId"])
        assert (refused.status_code, refused.json()["error"]) == (403, "FOREIGN_ORIGIN")
        assert (await page.cancel(held["orderId"])).status_code == 204


async def test_an_address_of_tls_that_only_public_url_knows_has_the_cookie_of_tls(behind: Behind) -> None:
    async with (
        proxying() as proxy,
        behind(proxy, public_url="https://fly.test"),
        _page_at(proxy, "https://fly.test") as page,
    ):
        reply = await page.order(["1A"])
        assert reply.status_code == 201
        assert reply.headers["set-cookie"].startswith("__Host-skyhold-guest")
        assert "; Secure" in reply.headers["set-cookie"]
        assert "strict-transport-security" in reply.headers
    async with (
        proxying() as proxy,
        behind(proxy, public_url="https://fly.test"),
        _page_at(proxy, "http://fly.test") as page,
    ):
        assert (await page.order(["1B"])).status_code == 403


async def test_the_doctor_finds_a_proxy_behind_which_pages_cannot_book(
    behind: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_client, "is_this_machine", lambda _: False)
    for changes, health in ({}, doctor.Health.BAD), ({"public_url": "http://127.0.0.1:{}"}, doctor.Health.GOOD):
        async with proxying() as proxy:
            mine = {name: value.format(proxy.port) for name, value in changes.items()}
            async with behind(proxy, **mine):
                findings = await asyncio.to_thread(lambda: list(doctor._api(proxy.address(), None)))
        assert [(finding.name, finding.health) for finding in findings] == [
            ("api", doctor.Health.GOOD),
            ("pages", health),
        ]
        assert all("PUBLIC_URL" in (finding.remedy or "PUBLIC_URL") for finding in findings)
