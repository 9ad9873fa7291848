"""Rate limits, counted in a real Valkey, and by the process itself while it is unavailable."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator

import httpx
import pytest
from fastapi import FastAPI
from redis.asyncio import Redis

from skyhold.bootstrap import limits as bootstrap_limits
from skyhold.bootstrap.limits import open_limits
from skyhold.settings import Settings
from skyhold.web.app import create_app
from skyhold.web.edge import limits as web_limits
from skyhold.web.edge.limits import PAUSE_SECONDS, WAIT_SECONDS, LocalCounters, RateLimits
from skyhold.web.edge.middleware import Edge
from skyhold.web.identity import Identities
from skyhold.web.signing import Signer
from skyhold_local.embedded.child import Child
from skyhold_local.embedded.servers import Servers, running_servers
from support.absences import Return, killed, stopped
from support.services import SECRET_KEY, eventually
from support.web import COOKIE, ScriptedServices, a_guests_cookies, app_over

PATH = "/api/orders/no!order"
IDENTITIES = Identities(Signer(SECRET_KEY))


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lengthen the Redis timeouts, since the machine may be busy."""
    for module in (web_limits, bootstrap_limits):
        monkeypatch.setattr(module, "WAIT_SECONDS", 20.0)


@contextlib.asynccontextmanager
async def _limited(redis_url: str, rate: str | None) -> AsyncIterator[tuple[FastAPI, RateLimits | None]]:
    settings = Settings(redis_url=redis_url, rate_limit=rate, secret_key=SECRET_KEY)
    async with open_limits(settings, Signer(SECRET_KEY), a_guests_cookies(Signer(SECRET_KEY))) as limits:
        yield create_app(app_over(ScriptedServices()).state.services, Edge(limits=limits)), limits


@contextlib.asynccontextmanager
async def _client(
    app: FastAPI, *, cookie: str | None = None, address: str = "192.0.2.1"
) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, client=(address, 1234))
    cookies = {COOKIE: cookie} if cookie else {}
    async with httpx.AsyncClient(transport=transport, base_url="http://skyhold.test", cookies=cookies) as client:
        yield client


def _cookie() -> str:
    return IDENTITIES.cookie_of(IDENTITIES.new_guest())


async def _statuses(client: httpx.AsyncClient, count: int) -> list[int]:
    return [(await client.get(PATH)).status_code for _ in range(count)]


async def test_a_guest_beyond_the_rate_is_told_when_to_come_back(redis_url: str) -> None:
    async with _limited(redis_url, "5/minute") as (app, _), _client(app, cookie=_cookie()) as client:
        assert await _statuses(client, 5) == [404] * 5
        reply = await client.get(PATH)
    problem = reply.json()
    assert (reply.status_code, problem["error"], problem["status"]) == (429, "RATE_LIMITED", 429)
    assert reply.headers["content-type"] == "application/problem+json"
    assert problem["requestId"] == reply.headers["x-request-id"]
    assert 55 <= int(reply.headers["retry-after"]) <= 60


async def test_guests_are_limited_each_by_themselves_and_others_by_their_address_alone(redis_url: str) -> None:
    async with _limited(redis_url, "2/minute") as (app, _):
        async with _client(app, cookie=_cookie()) as one:
            assert await _statuses(one, 3) == [404, 404, 429]
        async with _client(app, cookie=_cookie()) as other:
            assert await _statuses(other, 2) == [404, 404]
        for cookie in (None, "made.up", "x" * 500, "31337"):
            async with _client(app, cookie=cookie) as stranger:
                assert await _statuses(stranger, 5) == [404] * 5


@pytest.mark.rest(but_first=True)
@pytest.mark.parametrize(
    ("addresses", "is_one"),
    [
        (("192.0.2.1", "192.0.2.2"), False),
        (("192.0.2.1", "::ffff:192.0.2.1"), True),
        (("2001:db8::1", "2001:db8::ffff:2"), True),
        (("2001:db8::1", "2001:db8:0:1::1"), False),
    ],
)
async def test_an_address_may_ask_as_often_as_a_hundred_guests(
    addresses: tuple[str, str], is_one: bool, redis_url: str
) -> None:
    async with _limited(redis_url, "1/minute") as (app, _):
        async with _client(app, address=addresses[0]) as client:
            assert await _statuses(client, 101) == [404] * 100 + [429]
            client.headers["x-forwarded-for"] = "198.51.100.1"
            assert await _statuses(client, 1) == [429]
        async with _client(app, address=addresses[1]) as client:
            assert await _statuses(client, 1) == [429 if is_one else 404]


async def test_what_is_told_is_true(redis_url: str) -> None:
    async with _limited(redis_url, "3/second") as (app, _), _client(app, cookie=_cookie()) as client:
        # A window may end between two requests, so the refusal needs a few.
        while (reply := await client.get(PATH)).status_code != 429:
            assert reply.status_code == 404
        assert reply.headers["retry-after"] == "1"
        await asyncio.sleep(1)  # The test is about whether this is long enough.
        assert await _statuses(client, 3) == [404] * 3


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("milliseconds", [300, 1300, 1700, 59_900])
async def test_the_rest_of_a_window_is_never_told_too_short(milliseconds: int, redis_url: str, redis: Redis) -> None:
    cookie = _cookie()
    async with (
        _limited(redis_url, "1/minute") as (one, _),
        _limited(redis_url, "1/minute") as (other, _),
        _client(one, cookie=cookie) as here,
        _client(other, cookie=cookie) as there,
    ):
        await here.get(PATH)
        for _ in range(20):  # the short window may be over before a busy machine has sent the request
            for key in [key async for key in redis.scan_iter("*")]:
                await redis.pexpire(key, milliseconds)
            # Requests that this process has not counted itself come from Redis.
            reply = await there.get(PATH)
            if reply.status_code == 429:
                break
    assert milliseconds / 1000 - 0.2 < int(reply.headers["retry-after"]) <= milliseconds / 1000 + 1.5


@pytest.mark.usefixtures("patient")
async def test_two_processes_count_together(redis_url: str) -> None:
    cookie = _cookie()
    async with (
        _limited(redis_url, "4/minute") as (one, _),
        _limited(redis_url, "4/minute") as (other, _),
        _client(one, cookie=cookie) as here,
        _client(other, cookie=cookie) as there,
    ):
        assert await _statuses(here, 2) + await _statuses(there, 3) == [404] * 4 + [429]


@pytest.mark.parametrize("wait", [WAIT_SECONDS, 0.0])
async def test_requests_at_once_are_all_counted_also_when_redis_is_slow(
    wait: float, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skyhold.web.edge.limits.WAIT_SECONDS", wait)
    async with _limited(redis_url, "20/minute") as (app, _), _client(app, cookie=_cookie()) as client:
        replies = await asyncio.gather(*(client.get(PATH) for _ in range(60)))
        replies.append(await client.get(PATH))
    assert sorted(reply.status_code for reply in replies) == [404] * 20 + [429] * 41


@pytest.mark.usefixtures("patient")
async def test_a_flood_is_refused_without_a_question_to_redis(redis_url: str, redis: Redis) -> None:
    async with _limited(redis_url, "5/minute") as (app, _), _client(app, cookie=_cookie()) as client:
        assert await _statuses(client, 50) == [404] * 5 + [429] * 45
    assert {await redis.get(key) async for key in redis.scan_iter("*")} == {"5"}


@pytest.mark.usefixtures("patient")
async def test_redis_learns_nothing_of_a_guest_and_forgets_it_with_the_window(redis_url: str, redis: Redis) -> None:
    guest = IDENTITIES.new_guest()
    cookie = IDENTITIES.cookie_of(guest)
    async with _limited(redis_url, "5/minute") as (app, _), _client(app, cookie=cookie) as client:
        await _statuses(client, 2)
    keys = [key async for key in redis.scan_iter("*")]
    assert len(keys) == 2
    assert all(key.startswith("rate:") for key in keys)
    assert not any(secret in str(keys) for secret in (guest.id, guest.hash, "192.0.2.1"))
    assert [await redis.get(key) for key in keys] == ["2", "2"]
    assert all([0 < await redis.ttl(key) <= 60 for key in keys])


async def test_what_is_not_the_api_is_not_limited(redis_url: str) -> None:
    async with _limited(redis_url, "1/minute") as (app, _), _client(app, cookie=_cookie()) as client:
        assert await _statuses(client, 2) == [404, 429]
        for path in ("/livez", "/readyz", "/openapi.json", "/docs", "/nowhere"):
            assert (await client.get(path)).status_code in {200, 404}
        for method, path in (("OPTIONS", PATH), ("PATCH", PATH), ("POST", "/api/orders"), ("GET", "/api/nowhere")):
            assert (await client.request(method, path)).status_code == 429


async def test_a_rate_of_off_counts_nothing(redis_url: str, redis: Redis) -> None:
    async with _limited(redis_url, None) as (app, limits), _client(app, cookie=_cookie()) as client:
        assert limits is None
        assert await _statuses(client, 10) == [404] * 10
    assert [key async for key in redis.scan_iter("*")] == []


@pytest.fixture(scope="module")
def own_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with running_servers(tmp_path_factory.mktemp("limits"), temporal=False) as servers:
        yield servers


@pytest.mark.rest
@pytest.mark.parametrize("away", [killed, stopped])
@pytest.mark.parametrize("is_known", [False, True])
async def test_without_redis_each_process_counts_and_nobody_waits_for_long(
    away: Callable[[Child], Return],
    is_known: bool,
    own_servers: Servers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with _limited(own_servers.redis_url, "10/minute") as (app, limits):
        assert limits
        if is_known:
            async with _client(app) as stranger:
                assert await _statuses(stranger, 1) == [404]
        incr, asked = limits._storage.incr, []

        async def count(key: str, seconds: int) -> int:
            asked.append(key)
            return await incr(key, seconds)

        monkeypatch.setattr(limits._storage, "incr", count)
        bring_back = away(own_servers.redis)
        try:
            async with _client(app, cookie=_cookie()) as client:
                started_at = time.monotonic()
                statuses = await _statuses(client, 60)
                took = time.monotonic() - started_at
            assert statuses == [404] * 10 + [429] * 50
            assert limits.is_away
            # Both counters once at the outage, and once for every second since, whatever the number of requests.
            assert len(asked) <= 2 * (1 + took / PAUSE_SECONDS)
            assert took < 60 * WAIT_SECONDS / 2, "each that waits would wait so long by itself"
        finally:
            bring_back()

        async def is_shared_again() -> bool:
            async with _client(app) as stranger:
                await stranger.get(PATH)
            return not limits.is_away

        await eventually(is_shared_again)


async def test_many_at_once_do_not_wait_one_after_the_other_for_an_absent_redis(own_servers: Servers) -> None:
    async with _limited(own_servers.redis_url, "1000/minute") as (app, limits), _client(app) as client:
        assert limits
        bring_back = stopped(own_servers.redis)
        try:
            started_at = time.monotonic()
            replies = await asyncio.gather(*(client.get(PATH) for _ in range(300)))
            assert time.monotonic() - started_at < WAIT_SECONDS + 10, "one after the other they take a minute"
            assert {reply.status_code for reply in replies} == {404}
        finally:
            bring_back()


def test_a_process_keeps_no_more_counters_than_it_has_room_for() -> None:
    limits = RateLimits("1/minute", None, Signer(SECRET_KEY), IDENTITIES)  # type: ignore[arg-type]
    limit = limits._limits["guest"]
    now = 1000.0
    counters = LocalCounters(room=3, clock=lambda: now)
    assert [counters.hit(name, limit) for name in "abcd"] == [0.0] * 4
    assert len(counters) == 3
    # The oldest was evicted, the others are kept.
    assert [counters.hit(name, limit) for name in "bcd"] == [60.0] * 3
    assert counters.hit("a", limit) == 0.0
    now += 59
    assert counters.hit("c", limit) == 2.0
    now += 1
    assert counters.hit("c", limit) == 0.0
