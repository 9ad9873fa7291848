"""HEAD, OPTIONS and 405, for every route."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from fastapi.routing import iter_route_contexts

from skyhold.web.edge.middleware import Edge, install_edge
from skyhold.web.problems import install_problem_handlers
from support.web import ScriptedServices, app_over, client_of

UNKNOWN = {"GET", "POST", "PUT", "PATCH", "DELETE"}


def _methods_by_path() -> dict[str, set[str]]:
    methods: dict[str, set[str]] = {}
    for route in iter_route_contexts(app_over(ScriptedServices()).routes):
        if route.path and route.methods:
            methods.setdefault(route.path, set()).update(route.methods)
    return methods


METHODS = _methods_by_path()


@pytest.fixture
async def api() -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app_over(ScriptedServices())) as client:
        yield client


def _allowed(reply: httpx.Response) -> set[str]:
    return set(reply.headers["allow"].split(", "))


def test_there_are_addresses_with_several_methods() -> None:
    assert METHODS["/api/orders/{orderId}"] >= {"GET", "DELETE"}


@pytest.mark.parametrize("path", METHODS)
async def test_options_tells_the_methods_of_an_address(path: str, api: httpx.AsyncClient) -> None:
    reply = await api.options(re.sub("{.*?}", "a-name", path))
    assert (reply.status_code, reply.content) == (204, b"")
    assert _allowed(reply) == METHODS[path] | {"OPTIONS"} | ({"HEAD"} if "GET" in METHODS[path] else set())


@pytest.mark.parametrize("path", METHODS)
async def test_a_method_that_no_route_of_an_address_takes_is_refused_with_all_that_one_does(
    path: str, api: httpx.AsyncClient
) -> None:
    address = re.sub("{.*?}", "a-name", path)
    told = _allowed(await api.options(address))
    for method in (UNKNOWN | {"HEAD", "TRACE", "PROPFIND"}) - told:
        reply = await api.request(method, address)
        assert (reply.status_code, _allowed(reply)) == (405, told)
        assert method == "HEAD" or reply.json()["error"] == "METHOD_NOT_ALLOWED"


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/api/orders/an!order", "/nowhere", "/openapi.json"])
async def test_head_is_get_without_its_body(path: str, api: httpx.AsyncClient) -> None:
    get, head = await api.get(path), await api.head(path)
    assert head.status_code == get.status_code
    assert head.content == b""
    changing = {"x-request-id"}
    assert {n: v for n, v in head.headers.items() if n not in changing} == {
        n: v for n, v in get.headers.items() if n not in changing
    }
    assert head.headers["content-length"] == str(len(get.content))


async def test_nothing_of_a_body_is_sent_for_a_head() -> None:
    # Client libraries hide forbidden parts of a reply, so this test reads the raw messages.
    start, *bodies = await _sent(app_over(ScriptedServices()), "HEAD", "/openapi.json")
    assert int(dict(start["headers"])[b"content-length"]) > 10_000
    assert [body["body"] for body in bodies] == [b""]


async def _sent(app: FastAPI, method: str, path: str) -> list[dict[str, Any]]:
    """Return the messages that the app sends to a client that stays connected and sends nothing more."""
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": [], "scheme": "http"}
    sent: list[dict[str, Any]] = []
    requests = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        return requests.pop() if requests else await asyncio.Event().wait() and {}

    async def send(message: Any) -> None:
        sent.append(message)

    await app({**scope, "http_version": "1.1", "server": ("skyhold.test", 80), "asgi": {}}, receive, send)
    return sent


async def test_options_of_nothing_is_not_found(api: httpx.AsyncClient) -> None:
    assert (await api.options("/nowhere")).status_code == 404


async def test_head_of_a_stream_is_its_head_and_ends_it() -> None:
    ended = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            yield b"data: first\n\n"
            await asyncio.Event().wait()
        finally:
            ended.set()

    app = FastAPI()

    @app.get("/events")
    async def events() -> StreamingResponse:
        return StreamingResponse(endless(), media_type="text/event-stream")

    install_problem_handlers(app)
    install_edge(app, Edge())
    async with asyncio.timeout(20):
        start, *bodies = await _sent(app, "HEAD", "/events")
        await ended.wait()
    assert start["status"] == 200
    assert dict(start["headers"])[b"content-type"].startswith(b"text/event-stream")
    assert [(body["body"], body.get("more_body", False)) for body in bodies] == [(b"", False)]


async def test_a_time_out_inside_of_a_head_is_a_fault_as_anywhere() -> None:
    app = FastAPI()

    @app.get("/slow")
    async def slow() -> None:
        raise TimeoutError

    install_problem_handlers(app)
    install_edge(app, Edge())
    async with client_of(app) as client:
        assert (await client.head("/slow")).status_code == 500
