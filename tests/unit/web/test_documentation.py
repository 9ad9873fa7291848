"""The pages that show the OpenAPI document: complete, and without foreign hosts."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser

import httpx
import pytest

from support.web import ScriptedServices, app_over, client_of


@pytest.fixture
async def api() -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app_over(ScriptedServices())) as client:
        yield client


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open = tag
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href"}]
        self.inline += [name for name, _ in attrs if name == "style" or name.startswith("on")]

    def handle_data(self, text: str) -> None:
        if self._open in {"script", "style"} and text.strip():
            self.inline.append(text)


async def test_the_page_loads_everything_from_its_own_origin_and_nothing_stands_inline(api: httpx.AsyncClient) -> None:
    reply = await api.get("/docs")
    page = _Page(reply.text)
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert len(page.addresses) == 5
    assert all(address.startswith("/") and not address.startswith("//") for address in page.addresses)
    assert page.inline == []
    for address in page.addresses:
        loaded = await api.get(address)
        assert loaded.status_code == 200
        assert loaded.content


async def test_the_page_may_run_scripts_of_its_own_origin_alone(api: httpx.AsyncClient) -> None:
    policy = (await api.get("/docs")).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


async def test_what_starts_the_page_asks_for_the_contract_and_no_validator(api: httpx.AsyncClient) -> None:
    start = (await api.get("/docs/start.js")).text
    assert re.findall(r'url: "(.*?)"', start) == ["/openapi.json"]
    assert "validatorUrl: null" in start
    assert "http" not in start


async def test_the_style_brings_its_pictures_along(api: httpx.AsyncClient) -> None:
    style = (await api.get("/docs/assets/swagger-ui.css")).text
    assert {address.strip("\"'")[:5] for address in re.findall(r"url\(([^)]{5})", style)} <= {"data:", "data"}
    assert "@import" not in style


async def test_the_contract_is_told_once_to_whoever_keeps_it(api: httpx.AsyncClient) -> None:
    first = await api.get("/openapi.json")
    assert first.json()["openapi"].startswith("3.1.")
    again = await api.get("/openapi.json", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    other = await api.get("/openapi.json", headers={"if-none-match": '"another"'})
    assert other.status_code == 200


@pytest.mark.parametrize(
    "path", ["/docs/assets/nothing.js", "/docs/assets/..%2f..%2fcore.py", "/docs/nothing", "/redoc"]
)
async def test_there_is_nothing_else(path: str, api: httpx.AsyncClient) -> None:
    reply = await api.get(path)
    assert (reply.status_code, reply.json()["error"]) == (404, "NOT_FOUND")
