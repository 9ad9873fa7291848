"""Access to an order: its guest, by a signed cookie, and the holder of its token. All others get 404."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from skyhold.bootstrap.api import open_api
from skyhold.bootstrap.temporal import connect_temporal
from skyhold.bootstrap.workers import open_worker
from skyhold.messages import BOOKING_WORKFLOW
from skyhold.postgresql.pools import Pool
from skyhold.settings import Settings
from skyhold_local.embedded.servers import Servers
from support.services import FL101, SECRET_KEY, Service, eventually
from support.web import COOKIE, client_of

NOBODYS = "01a203b1-c506-75c8-9d65-356101a1b6aa"
OF_BEFORE = "skyhold-guest"
"""The cookie's former name, the same in every Skyhold."""

ROUTES: list[tuple[str, str, Any]] = [
    ("GET", "", None),
    ("GET", "/status", None),
    ("GET", "/history", None),
    ("GET", "/events", None),
    ("PUT", "/seats", {"seats": ["20A"]}),
    ("POST", "/pay", {"paymentCode": "99999"}),
    ("DELETE", "", None),
]


@pytest.fixture
async def app(settings: Settings, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FastAPI]:
    """The app, with a worker."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", servers.temporal_address)
    settings = settings.model_copy(update={"cors_origins": ("https://friend.example",)})
    async with open_worker(settings) as running, running.worker, open_api(settings) as app:
        yield app


@pytest.fixture
async def guest(app: FastAPI) -> AsyncIterator[Service]:
    """A guest with a browser."""
    async with client_of(app) as client:
        yield Service(client)


@pytest.fixture
async def stranger(app: FastAPI) -> AsyncIterator[Service]:
    """Another guest, with an order of their own."""
    async with client_of(app) as client:
        somebody = Service(client)
        await somebody.hold("19A")
        yield somebody


def _told(reply: httpx.Response) -> dict[str, Any]:
    """Return the content of a reply, without its request id."""
    body = reply.json()
    headers = {name: value for name, value in reply.headers.items() if name not in {"x-request-id", "date"}}
    return {name: value for name, value in body.items() if name not in {"instance", "requestId"}} | {"headers": headers}


@pytest.mark.rest(but_first=True)
@pytest.mark.parametrize(("method", "way", "body"), ROUTES)
async def test_a_strangers_look_at_an_order_is_a_look_at_none(
    method: str, way: str, body: Any, guest: Service, stranger: Service
) -> None:
    held = await guest.hold("1A")
    theirs = await stranger.api.request(method, f"/api/orders/{held['orderId']}{way}", json=body)
    nobodys = await stranger.api.request(method, f"/api/orders/{NOBODYS}{way}", json=body)
    assert (theirs.status_code, theirs.json()["error"]) == (404, "ORDER_NOT_FOUND")
    assert _told(theirs) == _told(nobodys)
    assert held["orderId"] not in theirs.text
    assert (await guest.status(held["orderId"]))["seats"] == ["1A"]


def _tampered(text: str) -> str:
    return text[:-2] + ("AA" if text[-2:] != "AA" else "BB")


FORGERIES: list[tuple[str, Callable[[str, str], dict[str, str]]]] = [
    ("a cookie with another seal", lambda cookie, _: {"Cookie": f"{COOKIE}={_tampered(cookie)}"}),
    ("a cookie without a seal", lambda cookie, _: {"Cookie": f"{COOKIE}={cookie.partition('.')[0]}"}),
    ("the seal of another guest", lambda cookie, _: {"Cookie": f"{COOKIE}=x{cookie}"}),
    ("an empty cookie", lambda *_: {"Cookie": f"{COOKIE}="}),
    ("a cookie of nothing but dots", lambda *_: {"Cookie": f"{COOKIE}={'.' * 5000}"}),
    ("another token", lambda _, token: {"Authorization": f"Bearer {_tampered(token)}"}),
    ("a token as a password", lambda _, token: {"Authorization": f"Basic {token}"}),
    ("a token without its scheme", lambda _, token: {"Authorization": token}),
    ("no token", lambda *_: {"Authorization": "Bearer "}),
    ("the cookie as a token", lambda cookie, _: {"Authorization": f"Bearer {cookie}"}),
    ("the name of before with another seal", lambda cookie, _: {"Cookie": f"{OF_BEFORE}={_tampered(cookie)}"}),
    ("the name of another Skyhold", lambda cookie, _: {"Cookie": f"{OF_BEFORE}-0123456789ab={cookie}"}),
    ("the token as a cookie", lambda _, token: {"Cookie": f"{COOKIE}={token}"}),
    ("the cookie that TLS would have", lambda cookie, _: {"Cookie": f"__Host-{COOKIE}={cookie}"}),
]


@pytest.mark.rest
@pytest.mark.parametrize("forge", [forge for _, forge in FORGERIES], ids=[name for name, _ in FORGERIES])
async def test_what_is_forged_opens_nothing(
    forge: Callable[[str, str], dict[str, str]], app: FastAPI, guest: Service
) -> None:
    held = await guest.hold("1B")
    async with client_of(app) as bare:
        headers = forge(guest.api.cookies[COOKIE], held["orderToken"])
        reply = await bare.get(f"/api/orders/{held['orderId']}", headers=headers)
    assert (reply.status_code, reply.json()["error"]) == (404, "ORDER_NOT_FOUND")


async def test_a_token_opens_its_own_order_to_whoever_has_it_and_no_other(app: FastAPI, guest: Service) -> None:
    held, other = await guest.hold("1C"), await guest.hold("1D")
    async with client_of(app) as bare:
        bearer = {"Authorization": f"bearer {held['orderToken']}"}
        for way in ("", "/status", "/history"):
            assert (await bare.get(f"/api/orders/{held['orderId']}{way}", headers=bearer)).status_code == 200
        assert (await bare.get(f"/api/orders/{other['orderId']}", headers=bearer)).status_code == 404
        assert (await bare.get("/api/orders", headers=bearer)).json()["orders"] == []
        assert (await bare.delete(f"/api/orders/{held['orderId']}", headers=bearer)).status_code == 204
    assert (await guest.status(held["orderId"]))["failureCode"] == "CANCELLED"
    assert "set-cookie" not in bare.headers


async def test_a_wrong_token_takes_nothing_from_a_guest_with_the_cookie(guest: Service) -> None:
    held = await guest.hold("1E")
    reply = await guest.api.get(f"/api/orders/{held['orderId']}", headers={"Authorization": "Bearer nonsense"})
    assert reply.status_code == 200


async def test_an_order_that_was_started_by_hand_is_nobodys_over_http(app: FastAPI, settings: Settings) -> None:
    client, order_id = await connect_temporal(), "started-by-hand"
    async with client_of(app) as bare:
        made = await Service(bare).hold("1F")
        await client.start_workflow(
            BOOKING_WORKFLOW,
            {"orderId": order_id, "flightId": FL101, "seats": ["2F"]},
            id=f"booking-{order_id}",
            task_queue=settings.temporal_task_queue,
        )

        async def is_held() -> bool:
            return bool((await Service(bare).seat("2F"))["status"] == "reserved")

        assert await eventually(is_held)
        token = app.state.services.identities.token_of(order_id)
        for headers in ({}, {"Authorization": f"Bearer {token}"}, {"Authorization": f"Bearer {made['orderToken']}"}):
            assert (await bare.get(f"/api/orders/{order_id}", headers=headers)).status_code == 404
        assert all(order["orderId"] != order_id for order in (await bare.get("/api/orders")).json()["orders"])
        await client.get_workflow_handle(f"booking-{order_id}").cancel()


async def test_orders_started_by_hand_for_a_guest_are_listed_whatever_their_ids(
    guest: Service, settings: Settings, pool: Pool
) -> None:
    made = await guest.hold("6A")
    guest_hash = await pool.fetchval("SELECT guest_hash FROM orders WHERE id = $1", made["orderId"])
    client, ids = await connect_temporal(), ["by-hand", "0" * 32, "x" * 64]
    for row, order_id in enumerate(ids, 1):
        await client.start_workflow(
            BOOKING_WORKFLOW,
            {"orderId": order_id, "flightId": FL101, "seats": [f"{row}E"], "guestHash": guest_hash},
            id=f"booking-{order_id}",
            task_queue=settings.temporal_task_queue,
        )

        async def is_made(order_id: str = order_id) -> bool:
            return (await guest.api.get(f"/api/orders/{order_id}")).status_code == 200

        assert await eventually(is_made)
    seen, cursor = [], ""
    while cursor is not None:
        page = await guest.get(f"/api/orders?limit=1{cursor and '&cursor='}{cursor}")
        seen += [order["orderId"] for order in page["orders"]]
        cursor = page["nextCursor"]
    assert seen == [*ids[::-1], made["orderId"]]
    for order_id in ids:
        await guest.cancel(order_id)


async def test_the_cookie_is_for_the_browser_alone_and_given_once(app: FastAPI) -> None:
    async with client_of(app) as client:
        first = await Service(client).order(["3A"])
        second = await Service(client).order(["3B"])
    name, *attributes = first.headers["set-cookie"].split("; ")
    assert name.startswith(f"{COOKIE}=")
    assert {attribute.lower() for attribute in attributes} == {
        *("httponly", "samesite=lax", "path=/", f"max-age={400 * 24 * 3600}"),
    }
    assert "set-cookie" not in second.headers


async def test_behind_tls_the_cookie_is_for_this_host_alone(app: FastAPI) -> None:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="https://skyhold.test") as client:
        reply = await Service(client).order(["3C"])
        assert reply.headers["set-cookie"].startswith(f"__Host-{COOKIE}=")
        assert "; Secure" in reply.headers["set-cookie"]
        assert (await client.get(reply.headers["location"])).status_code == 200


FOREIGN: list[dict[str, str]] = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://other.skyhold.test"},
    {"Origin": "http://skyhold.test:8080"},
    {"Origin": "http://[::1"},
    {"Origin": "http://skyhold.test:port"},
    {"Origin": ""},
    {"Origin": "http://skyhold.test", "Host": "[::1"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://other.skyhold.test"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://skyhold.test"},
]


@pytest.mark.rest(but_first=True)
@pytest.mark.parametrize("headers", FOREIGN)
async def test_a_page_of_another_origin_cannot_use_the_cookie(headers: dict[str, str], guest: Service) -> None:
    held = await guest.hold("4A")
    cookie = guest.api.cookies[COOKIE]
    for method, way, body in ROUTES:
        if method != "GET":
            reply = await guest.api.request(method, f"/api/orders/{held['orderId']}{way}", json=body, headers=headers)
            assert (reply.status_code, reply.json()["error"]) == (403, "FOREIGN_ORIGIN")
    made = await guest.api.post("/api/orders", json={"flightId": FL101, "seats": ["4B"]}, headers=headers)
    assert (made.status_code, made.json()["error"]) == (403, "FOREIGN_ORIGIN")
    assert (await guest.seat("4B"))["status"] == "available"
    assert "set-cookie" not in made.headers
    assert guest.api.cookies[COOKIE] == cookie
    assert (await guest.status(held["orderId"]))["status"] == "SEATS_RESERVED"


@pytest.mark.rest(but_first=True)
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://skyhold.test", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://skyhold.test"},
        {"Origin": "http://skyhold.test", "Host": "Skyhold.Test:80"},
        {"Origin": "https://skyhold.test", "Host": "skyhold.test:443"},
        {"Origin": "http://[2001:db8::1]:8080", "Host": "[2001:DB8::1]:8080"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://friend.example", "Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_our_own_pages_and_those_of_friends_can(headers: dict[str, str], guest: Service) -> None:
    held = await guest.hold("4C")
    reply = await guest.api.delete(f"/api/orders/{held['orderId']}", headers=headers)
    assert reply.status_code == 204


async def test_behind_tls_a_page_without_it_cannot_use_the_cookie(app: FastAPI) -> None:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="https://skyhold.test") as client:
        made = await Service(client).order(["4E"])
        for origin, status in (("http://skyhold.test", 403), ("https://skyhold.test", 204)):
            reply = await client.delete(made.headers["location"], headers={"Origin": origin})
            assert reply.status_code == status


async def test_a_form_of_another_page_is_refused_before_it_is_read(guest: Service) -> None:
    held = await guest.hold("4D")
    reply = await guest.api.post(
        f"/api/orders/{held['orderId']}/pay", content='{"paymentCode": "99999"}', headers={"Content-Type": "text/plain"}
    )
    assert (reply.status_code, reply.json()["error"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_of_twenty_orders_of_one_guest_at_once_five_hold_seats(
    settings: Settings, servers: Servers, monkeypatch: pytest.MonkeyPatch, pool: Pool
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", servers.temporal_address)
    settings = settings.model_copy(update={"max_holds_per_guest": 5, "temporal_task_queue": "twenty-at-once"})
    async with contextlib.AsyncExitStack() as stack:
        running = await stack.enter_async_context(open_worker(settings))
        await stack.enter_async_context(running.worker)
        guest = Service(await stack.enter_async_context(client_of(await stack.enter_async_context(open_api(settings)))))
        first = await guest.hold("10A")
        assert (await guest.cancel(first["orderId"])).status_code == 204
        replies = await asyncio.gather(*(guest.order([f"{row}A"]) for row in range(1, 21)))
        said = [reply.status_code for reply in replies]
        assert (said.count(201), said.count(409)) == (5, 15)
        refused = [reply.json() for reply in replies if reply.status_code == 409]
        assert all((problem["error"], problem["limit"]) == ("HOLD_LIMIT", 5) for problem in refused)
    assert await pool.fetchval("SELECT count(*) FROM seats WHERE status = 'reserved'") == 5


async def test_what_is_stored_of_a_guest_opens_nothing(guest: Service, pool: Pool) -> None:
    held = await guest.hold("5A")
    row = await pool.fetchrow("SELECT * FROM orders WHERE id = $1", held["orderId"])
    assert row is not None
    stored = repr(dict(row))
    assert guest.api.cookies[COOKIE].partition(".")[0] not in stored
    assert held["orderToken"] not in stored
    assert SECRET_KEY not in stored


async def test_a_guest_sees_their_own_orders_newest_first_a_page_at_a_time(guest: Service, stranger: Service) -> None:
    made = [(await guest.hold(f"{row}C"))["orderId"] for row in range(1, 6)]
    await guest.cancel(made[0])
    whole = await guest.get("/api/orders")
    assert [order["orderId"] for order in whole["orders"]] == made[::-1]
    assert whole["nextCursor"] is None
    assert whole["orders"][0] | {"serverTime": "", "timerRemaining": 0} == await guest.get(
        f"/api/orders/{made[-1]}"
    ) | {"serverTime": "", "timerRemaining": 0}
    seen, cursor = [], ""
    while cursor is not None:
        page = await guest.get(f"/api/orders?limit=2{cursor and '&cursor='}{cursor}")
        assert len(page["orders"]) <= 2
        seen += [order["orderId"] for order in page["orders"]]
        cursor = page["nextCursor"]
    assert seen == made[::-1]
    theirs = await stranger.get("/api/orders")
    assert not {order["orderId"] for order in theirs["orders"]} & set(made)
    first = await guest.get("/api/orders?limit=1")
    reply = await stranger.api.get("/api/orders", params={"cursor": first["nextCursor"]})
    assert (reply.status_code, reply.json()["error"]) == (400, "INVALID_REQUEST")
    assert (await guest.api.get("/api/orders", params={"limit": 0})).status_code == 400
