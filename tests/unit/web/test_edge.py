"""The middleware around every reply: headers for browsers, CORS, trusted and untrusted proxies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request

from skyhold.web.app import create_app
from skyhold.web.edge.middleware import Edge
from skyhold.web.public_address import PublicAddress, is_host_forwarded
from support.web import FLIGHT, ScriptedServices, app_over, client_of

Headers = list[tuple[str, str]]

OURS = "https://app.example"
ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


def _app(edge: Edge | None = None, services: ScriptedServices | None = None) -> FastAPI:
    return create_app(app_over(services or ScriptedServices()).state.services, edge)


async def _ask(app: FastAPI, method: str, path: str, **more: Any) -> httpx.Response:
    async with client_of(app) as client:
        return await client.request(method, path, **more)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/livez", 200),
        ("HEAD", "/livez", 200),
        ("OPTIONS", "/api/orders", 204),
        ("DELETE", "/api/orders/an-order", 500),
        ("PATCH", "/api/orders/an-order", 405),
        ("POST", "/api/orders", 415),
        ("GET", "/nowhere", 404),
    ],
)
async def test_every_reply_tells_browsers_to_be_careful(method: str, path: str, status: int) -> None:
    services = ScriptedServices(error=RuntimeError("boom"))
    reply = await _ask(_app(services=services), method, path)
    assert reply.status_code == status
    assert {name: reply.headers.get(name) for name in ALWAYS} == ALWAYS
    assert "x-request-id" in reply.headers
    assert "strict-transport-security" not in reply.headers
    assert "server" not in reply.headers


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/api/orders/an-order"),
        ("GET", "/api/orders/a!"),
        ("POST", "/api/orders"),
        ("HEAD", "/api/orders/a!"),
    ],
)
async def test_nothing_about_an_order_is_kept_by_a_cache(method: str, path: str) -> None:
    assert (await _ask(_app(), method, path)).headers["cache-control"] == "no-store"


@pytest.mark.parametrize("origins", [(), (OURS, "http://localhost:5173")])
async def test_pages_of_strangers_are_given_nothing(origins: tuple[str, ...]) -> None:
    app = _app(Edge(cors_origins=origins))
    for origin in ("https://evil.example", "null", f"{OURS}.evil.example", OURS.upper(), "http://app.example"):
        reply = await _ask(app, "GET", "/livez", headers={"origin": origin})
        assert reply.status_code == 200
        assert "access-control-allow-origin" not in reply.headers
        preflight = await _preflight(app, origin, "POST", ["content-type"])
        assert "access-control-allow-origin" not in preflight.headers


async def test_without_origins_no_page_elsewhere_hears_of_cors() -> None:
    app = _app()
    replies = [await _ask(app, "GET", "/livez", headers={"origin": OURS}), await _preflight(app, OURS, "POST", [])]
    assert [name for reply in replies for name in reply.headers if name.startswith("access-control")] == []


@pytest.mark.parametrize(("method", "path"), [("GET", "/livez"), ("DELETE", "/api/orders/x"), ("GET", "/nowhere")])
async def test_a_page_of_ours_may_read_every_reply_and_what_it_needs_of_its_head(method: str, path: str) -> None:
    app = _app(Edge(cors_origins=(OURS,)), ScriptedServices(error=RuntimeError("boom")))
    reply = await _ask(app, method, path, headers={"origin": OURS})
    assert reply.headers["access-control-allow-origin"] == OURS
    assert reply.headers["access-control-allow-credentials"] == "true"
    assert "Origin" in reply.headers["vary"]
    exposed = set(reply.headers["access-control-expose-headers"].split(", "))
    assert exposed == {"ETag", "Idempotency-Replayed", "Location", "Retry-After", "X-Request-Id"}


async def test_a_preflight_of_a_page_of_ours_is_answered_with_what_it_may_send() -> None:
    names = ["authorization", "content-type", "idempotency-key", "if-match", "if-none-match", "last-event-id"]
    for method in ("GET", "POST", "PUT", "DELETE"):
        reply = await _preflight(_app(Edge(cors_origins=(OURS,))), OURS, method, names)
        assert (reply.status_code, reply.content) == (204, b"")
        assert reply.headers["access-control-allow-origin"] == OURS
        assert reply.headers["access-control-allow-credentials"] == "true"
        assert method in reply.headers["access-control-allow-methods"]
        assert set(names) <= {name.lower() for name in reply.headers["access-control-allow-headers"].split(", ")}
        assert int(reply.headers["access-control-max-age"]) > 0
        assert "content-length" not in reply.headers


@pytest.mark.parametrize(("method", "name"), [("TRACE", "content-type"), ("POST", "x-other")])
async def test_a_preflight_for_more_than_that_gets_no_permission(method: str, name: str) -> None:
    reply = await _preflight(_app(Edge(cors_origins=(OURS,))), OURS, method, [name])
    assert reply.status_code == 204
    assert [name for name in reply.headers if name.startswith("access-control")] == []


async def _preflight(app: FastAPI, origin: str, method: str, names: Sequence[str]) -> httpx.Response:
    headers = {"origin": origin, "access-control-request-method": method}
    headers |= {"access-control-request-headers": ", ".join(names)} if names else {}
    return await _ask(app, "OPTIONS", "/api/orders", headers=headers)


async def _request_seen(edge: Edge, client: str, headers: Headers) -> tuple[Request, httpx.Response]:
    """Return the request as the routes see it, and the reply."""
    app = _app(edge)
    seen: list[Request] = []

    @app.middleware("http")
    async def look(request: Request, call_next: Any) -> Any:
        seen.append(request)
        return await call_next(request)

    app.user_middleware.append(app.user_middleware.pop(0))  # innermost
    transport = httpx.ASGITransport(app, client=(client, 1234))
    async with httpx.AsyncClient(transport=transport, base_url="http://skyhold.test") as api:
        reply = await api.get("/livez", headers=headers)
    return seen[0], reply


async def _seen(trusted: tuple[str, ...], client: str, forwarded: dict[str, str]) -> tuple[str, str, bool]:
    """Return the address and the scheme that the app sees, and whether the reply has HSTS."""
    request, reply = await _request_seen(Edge(trusted_proxies=trusted), client, list(forwarded.items()))
    assert request.client
    return request.client.host, request.url.scheme, "strict-transport-security" in reply.headers


FORWARDED = {"x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "https"}


@pytest.mark.parametrize(
    ("trusted", "client", "forwarded", "seen"),
    [
        ((), "127.0.0.1", FORWARDED, ("127.0.0.1", "http", False)),
        (("10.0.0.0/8",), "192.0.2.1", FORWARDED, ("192.0.2.1", "http", False)),
        (("10.0.0.0/8",), "10.1.2.3", FORWARDED, ("203.0.113.7", "https", True)),
        (("10.1.2.3/32", "fd00::/8"), "fd00::1", FORWARDED, ("203.0.113.7", "https", True)),
        # The part that the client wrote before the proxy's own is not trusted.
        (("10.0.0.0/8",), "10.1.2.3", {"x-forwarded-for": "1.1.1.1, 203.0.113.7"}, ("203.0.113.7", "http", False)),
        (
            ("10.0.0.0/8",),
            "10.1.2.3",
            {"x-forwarded-for": "1.1.1.1, 203.0.113.7, 10.9.9.9"},
            ("203.0.113.7", "http", False),
        ),
        (("10.0.0.0/8",), "10.1.2.3", {"x-forwarded-proto": "gopher"}, ("10.1.2.3", "http", False)),
        (("10.0.0.0/8",), "10.1.2.3", {"forwarded": "for=1.1.1.1;proto=https"}, ("10.1.2.3", "http", False)),
        (("10.0.0.0/8",), "10.1.2.3", {}, ("10.1.2.3", "http", False)),
        # A dual-stack socket writes its IPv4 peers in this form.
        (("10.0.0.0/8",), "::ffff:10.1.2.3", FORWARDED, ("203.0.113.7", "https", True)),
        (("10.0.0.0/8",), "::ffff:192.0.2.1", FORWARDED, ("192.0.2.1", "http", False)),
    ],
)
async def test_only_trusted_proxies_are_believed_about_address_and_scheme(
    trusted: tuple[str, ...], client: str, forwarded: dict[str, str], seen: tuple[str, str, bool]
) -> None:
    assert await _seen(trusted, client, forwarded) == seen


async def test_a_compressed_body_is_not_read() -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    reply = await _ask(_app(), "POST", "/api/orders", content=b"\x1f\x8b", headers=headers)
    assert (reply.status_code, reply.json()["error"]) == (415, "UNSUPPORTED_MEDIA_TYPE")
    headers["content-encoding"] = "identity"
    body = f'{{"flightId": "{FLIGHT}", "seats": ["12A"]}}'
    assert (await _ask(_app(), "POST", "/api/orders", content=body, headers=headers)).status_code == 201


HOST = "X-Forwarded-Host"


@pytest.mark.parametrize(
    ("client", "headers", "host"),
    [
        ("10.1.2.3", [(HOST, "fly.example")], "fly.example"),
        ("10.1.2.3", [(HOST, "fly.example:8443")], "fly.example:8443"),
        ("10.1.2.3", [(HOST, "[2001:db8::1]:8443")], "[2001:db8::1]:8443"),
        # The proxy's own value comes last, after the client's.
        ("10.1.2.3", [(HOST, "evil.example, fly.example")], "fly.example"),
        ("10.1.2.3", [(HOST, "evil.example"), (HOST, "fly.example")], "fly.example"),
        ("192.0.2.1", [(HOST, "fly.example")], "skyhold.test"),
        ("10.1.2.3", [(HOST, "")], "skyhold.test"),
        ("10.1.2.3", [(HOST, "fly.example,")], "skyhold.test"),
        ("10.1.2.3", [(HOST, "fly.example/evil")], "skyhold.test"),
        ("10.1.2.3", [(HOST, "me@fly.example")], "skyhold.test"),
        ("10.1.2.3", [(HOST, "fly example")], "skyhold.test"),
        ("10.1.2.3", [(HOST, "x" * 300)], "skyhold.test"),
    ],
)
async def test_only_a_trusted_proxy_is_believed_about_the_host_that_was_asked(
    client: str, headers: Headers, host: str
) -> None:
    request, _ = await _request_seen(Edge(trusted_proxies=("10.0.0.0/8",)), client, headers)
    assert request.headers.getlist("host") == [host]
    assert is_host_forwarded(request.scope) is (host != "skyhold.test")


async def test_the_scheme_of_the_public_address_is_that_of_the_request() -> None:
    secure, reply = await _request_seen(Edge(public=PublicAddress("https://fly.example")), "10.1.2.3", [])
    assert (secure.url.scheme, "strict-transport-security" in reply.headers) == ("https", True)
    plain, reply = await _request_seen(Edge(public=PublicAddress("http://fly.example")), "10.1.2.3", [])
    assert (plain.url.scheme, "strict-transport-security" in reply.headers) == ("http", False)
