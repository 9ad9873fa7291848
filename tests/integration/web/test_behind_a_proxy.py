"""Commands behind a proxy: those of our own pages pass, those of unknown pages are rejected before anything else.

The proxies are stand-ins over sockets; test_proxy_programs.py has the real programs.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from skyhold.cli import doctor
from skyhold.cli.customers import api_client
from skyhold.postgresql.pools import Pool
from skyhold.settings import Settings
from skyhold_local.embedded.servers import Servers
from support.commands import Skyhold
from support.markup import markup_of
from support.proxies import NOTHING_BUT_PROXY_PASS, Manners, Proxy, proxying, serving_behind
from support.services import FL101, Service

pytestmark = pytest.mark.rest

FORWARDS_HOST = Manners(adds={"X-Forwarded-Host": "fly.test"})

Behind = Callable[..., AbstractAsyncContextManager[None]]


@pytest.fixture
async def behind(settings: Settings, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Behind:
    """Yield `behind(proxy, **settings)`: the API with a worker, behind this proxy."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", servers.temporal_address)
    return partial(serving_behind, settings)


@contextlib.asynccontextmanager
async def _page_at(proxy: Proxy, origin: str) -> AsyncIterator[Service]:
    """Yield a browser that shows a page of this origin; over plain HTTP it sends no header but `Origin` about it."""
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


PREFIX = "/fly"
WITH_PREFIX = [
    pytest.param(Manners(prefix=PREFIX, strips=True), id="the proxy takes the prefix off"),
    pytest.param(Manners(prefix=PREFIX), id="the proxy passes the prefix on"),
]


BELOW = {"public_url": f"http://fly.test{PREFIX}"}


@pytest.mark.parametrize("manners", WITH_PREFIX)
async def test_below_a_prefix_every_address_that_is_sent_leads_below_it(manners: Manners, behind: Behind) -> None:
    async with proxying(manners) as proxy, behind(proxy, **BELOW), _page_at(proxy, "http://fly.test") as page:
        held = await page.order(["1A"])
        assert held.headers["location"] == f"{PREFIX}/api/orders/{held.json()['orderId']}"
        assert "Path=/;" in held.headers["set-cookie"]
        order = f"/orders/{held.json()['orderId']}"
        for path in ("", "/", "/?origin=NYC", f"/flights/{FL101}", order, "/docs", "/nowhere"):
            reply = await page.api.get(path, headers={"Accept": "text/html"})
            assert reply.status_code == (404 if path == "/nowhere" else 200), path
            addresses = {to for to in markup_of(reply).addresses if to and not to.startswith("#")}
            assert len(addresses) >= 4
            assert {to for to in addresses if not to.startswith(f"{PREFIX}/")} == set(), path
            for address in addresses:
                if address != f"{PREFIX}/flights/":  # of a row's template, which has no flight yet
                    there = await page.api.get(address.removeprefix(PREFIX))
                    assert there.status_code == 200, address
        assert f'"{PREFIX}/openapi.json"' in (await page.api.get("/docs/start.js")).text
        assert (await page.get("/openapi.json"))["servers"] == [{"url": f"http://fly.test{PREFIX}"}]


@pytest.mark.parametrize("manners", WITH_PREFIX)
async def test_below_a_prefix_all_rules_of_an_address_are_those_without(manners: Manners, behind: Behind) -> None:
    limited = {"rate_limit": "12/minute", "cors_origins": ("https://friend.example",)}
    async with (
        proxying(manners) as proxy,
        behind(proxy, **BELOW, **limited),
        _page_at(proxy, "http://fly.test") as page,
    ):
        held = await page.hold("1A")
        reply = await page.api.get(f"/api/orders/{held['orderId']}")
        assert reply.headers["cache-control"] == "no-store"
        refused = await page.api.patch("/api/orders")
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, POST, OPTIONS")
        assert (await page.api.head(f"/api/flights/{FL101}/events")).headers["content-type"].startswith("text/event-")
        async with page.api.stream("GET", f"/api/orders/{held['orderId']}/events") as stream:
            assert await anext(stream.aiter_lines()) != ""
        assert (await page.api.get("/nowhere")).json()["error"] == "NOT_FOUND"
        assert {(await page.api.get("/api/flights")).status_code for _ in range(12)} == {200, 429}
        assert (await page.api.get("/livez")).status_code == 200


async def test_a_path_that_only_starts_like_the_prefix_is_not_below_it(behind: Behind) -> None:
    async with proxying(Manners()) as proxy, behind(proxy, **BELOW), _page_at(proxy, "http://fly.test") as page:
        for path in ("/flyer", "/fly2/livez", "/fly/fly/livez", "/Fly/livez"):
            assert (await page.api.get(path)).status_code == 404, path
        for path in ("/fly", "/fly/", "/fly/livez", "/livez"):
            assert (await page.api.get(path)).status_code == 200, path


@pytest.mark.parametrize("manners", WITH_PREFIX)
async def test_the_command_line_books_below_a_prefix(manners: Manners, behind: Behind, tmp_path: Path) -> None:
    own = {"PATH": os.environ["PATH"], "SKYHOLD_STATE_DIR": str(tmp_path / "state")}
    skyhold = Skyhold(own, tmp_path)

    async def run(*arguments: str, typed: str = "") -> Any:
        done = await asyncio.to_thread(skyhold.run, *arguments, "--api", proxy.address(), "--json", typed=typed)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    async with proxying(manners) as proxy, behind(proxy, **BELOW):
        order = await run("book", "FL101", "1A", "1B")
        assert (await run("status", order["orderId"]))["status"] == "SEATS_RESERVED"
        assert (await run("pay", order["orderId"], typed="99999\n"))["status"] == "CONFIRMED"
        simulated = await run("simulate", "--customers", "5", "--for", "3s", "--pace", "10", "--no-audit")
        assert (simulated["violations"]["count"], simulated["failures"]) == (0, {})


async def test_a_crowd_that_comes_past_the_proxy_of_tls_keeps_its_cookies(behind: Behind, tmp_path: Path) -> None:
    skyhold = Skyhold({"PATH": os.environ["PATH"], "SKYHOLD_STATE_DIR": str(tmp_path / "state")}, tmp_path)
    async with proxying() as proxy, behind(proxy, public_url="https://fly.test"):
        crowd = ("simulate", "--customers", "5", "--for", "3s", "--pace", "10", "--no-audit", "--json")
        done = await asyncio.to_thread(skyhold.run, *crowd, "--api", proxy.upstream)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["violations"]["count"] == 0
