"""Behind nginx, Caddy and haproxy themselves, with the configurations of the runbook."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from skyhold.postgresql.pools import Pool
from skyhold.settings import Settings
from skyhold.web.live import watches as live
from skyhold_local.embedded.servers import Servers
from support.markup import markup_of
from support.proxies import Proxy, serving_behind
from support.proxy_programs import (
    NAMES,
    REQUIRED_BY,
    Certificate,
    NamedHost,
    configuration_of,
    free_port,
    lines_of,
    missing_for,
    running_proxy,
)
from support.services import FL101, Service

pytestmark = pytest.mark.rest

AT_ITS_HOST, BELOW_A_PATH = 0, 1
PUBLIC = {AT_ITS_HOST: "https://fly.example:{}", BELOW_A_PATH: "https://example.com:{}/fly"}

NOTHING_BUT_PROXY_PASS = "server { listen 80; location / { proxy_pass http://127.0.0.1:8080; } }"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate.made_in(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def behind(settings: Settings, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Yield `behind(proxy, **settings)`: the API with a worker, for this proxy."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", servers.temporal_address)
    monkeypatch.setattr(live, "BEAT_SECONDS", 0.2)
    return partial(serving_behind, settings.model_copy(update={"trusted_proxies": ("127.0.0.1/32",)}))


def _require(language: str) -> None:
    if missing := missing_for(language):
        if os.environ.get(REQUIRED_BY):
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)


@pytest.mark.parametrize("place", [AT_ITS_HOST, BELOW_A_PATH], ids=["at a host of its own", "below a path"])
@pytest.mark.parametrize("language", NAMES)
async def test_behind_the_lines_of_the_runbook_a_customer_books(
    language: str, place: int, behind: Any, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    _require(language)
    certificate = request.getfixturevalue("certificate")
    port = free_port()
    public = PUBLIC[place].format(port)
    prefix = httpx.URL(public).path.rstrip("/")
    proxy = Proxy()
    async with behind(proxy, public_url=public):
        configuration = configuration_of(
            language,
            lines_of(language)[place],
            port=port,
            upstream=httpx.URL(proxy.upstream).netloc.decode(),
            certificate=certificate,
        )
        async with (
            running_proxy(language, configuration, port, tmp_path),
            httpx.AsyncClient(base_url=public, transport=NamedHost(certificate), timeout=20) as client,
        ):
            page = await client.get("/", headers={"Accept": "text/html"})
            assert page.status_code == 200, page.text
            assert page.headers["set-cookie"].startswith("__Host-skyhold-guest")
            assert "strict-transport-security" in page.headers
            for address in markup_of(page).loaded:
                assert (await client.get(address.removeprefix(prefix))).status_code == 200, address
            client.headers["Origin"] = str(httpx.URL(public).copy_with(path="/")).rstrip("/")
            held = await Service(client).order(["1A"])
            assert held.status_code == 201, held.text
            assert held.headers["location"].startswith(f"{prefix}/api/orders/")
            order_id = held.json()["orderId"]
            heard = await _listen(client, f"/api/orders/{order_id}/events")
            assert heard[0] == "event: order"
            assert "event: beat" in heard
            assert (await Service(client).cancel(order_id)).status_code == 204
            client.headers["Origin"] = "https://evil.example"
            assert (await Service(client).order(["1B"])).json()["error"] == "FOREIGN_ORIGIN"


async def _listen(client: httpx.AsyncClient, path: str) -> list[str]:
    """Return the names of a stream's events until its first beat, which must arrive while the stream is open."""
    heard: list[str] = []
    async with asyncio.timeout(20), client.stream("GET", path) as stream:
        async for line in stream.aiter_lines():
            if line.startswith("event: "):
                heard.append(line)
            if line == "event: beat":
                return heard
    raise AssertionError(f"the stream ended: {heard}")


@pytest.mark.parametrize("knows", [False, True], ids=["without PUBLIC_URL", "with PUBLIC_URL"])
async def test_behind_nginx_with_nothing_but_proxy_pass(
    knows: bool, behind: Any, tmp_path: Path, pool: Pool, request: pytest.FixtureRequest
) -> None:
    _require("nginx")
    certificate = request.getfixturevalue("certificate")
    port = free_port()
    proxy = Proxy()
    async with behind(proxy, trusted_proxies=(), public_url=f"http://fly.example:{port}" if knows else None):
        configuration = configuration_of(
            "nginx",
            NOTHING_BUT_PROXY_PASS,
            port=port,
            upstream=httpx.URL(proxy.upstream).netloc.decode(),
            certificate=certificate,
        )
        headers = {"Host": f"fly.example:{port}", "Origin": f"http://fly.example:{port}"}
        async with (
            running_proxy("nginx", configuration, port, tmp_path),
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=20) as client,
        ):
            assert (await client.get(f"/api/flights/{FL101}")).status_code == 200
            held = await Service(client).order(["1A"])
            assert held.status_code == (201 if knows else 403), held.text
            assert await pool.fetchval("SELECT count(*) FROM seats WHERE status = 'reserved'") == int(knows)
            if knows:
                assert (await client.get(held.headers["location"])).status_code == 200
