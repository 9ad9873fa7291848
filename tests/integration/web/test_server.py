"""Misbehaving clients on real sockets: too slow, too large, or not HTTP."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import socket
import struct
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI

from skyhold.web.api import bodies
from skyhold.web.edge import server
from skyhold.web.edge.server import HEAD_LIMIT_BYTES, BoundedProtocol, Server, server_of
from support.markup import Markup
from support.web import FLIGHT, ScriptedServices, app_over

pytestmark = pytest.mark.rest

SLOW = 0.5
"""Instead of ten seconds."""

SOON = 10.0
"""Enough time for a busy machine."""

LONG = 30.0
"""Seconds for clients that would keep a connection as long as they continue."""

GOOD = json.dumps({"flightId": FLIGHT, "seats": ["12A"]}).encode()
POST = b"POST /api/orders HTTP/1.1\r\nHost: skyhold.test\r\nContent-Type: application/json\r\n"


@pytest.fixture
async def running(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    monkeypatch.setattr(bodies, "BODY_SECONDS", SLOW)
    monkeypatch.setattr(server, "HEAD_SECONDS", SLOW)
    monkeypatch.setattr(server, "UNREAD_SECONDS", SLOW)
    monkeypatch.setattr(server, "LINGER_SECONDS", SLOW)
    async with _running() as running:
        yield running


@contextlib.asynccontextmanager
async def _running(**settings: Any) -> AsyncIterator[Server]:
    app: FastAPI = app_over(ScriptedServices())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        running = server_of(app, **settings)
        serving = asyncio.create_task(running.serve(sockets=[listener]))
        async with asyncio.timeout(10):
            while not running.started:  # noqa: ASYNC110 - it is uvicorn's
                await asyncio.sleep(0.01)
        yield running
        running.should_exit = True
        await serving


@pytest.fixture
def address(running: Server) -> tuple[str, int]:
    return _address_of(running)


def _address_of(running: Server) -> tuple[str, int]:
    host, port = running.servers[0].sockets[0].getsockname()
    return host, port


@contextlib.asynccontextmanager
async def _connection(address: tuple[str, int]) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(*address)
    try:
        yield reader, writer
    finally:
        writer.close()


async def _drip(writer: asyncio.StreamWriter, piece: bytes, seconds: float) -> None:
    """Send a piece at intervals, so that the connection is never quiet."""
    until = time.monotonic() + seconds
    with contextlib.suppress(ConnectionError):
        while time.monotonic() < until:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.05)


async def _all(reader: asyncio.StreamReader) -> bytes:
    """Return all data until the server closes, with a timeout."""
    received = b""
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(2 * SOON):
            while piece := await reader.read(65536):
                received += piece
    return received


async def test_a_body_that_does_not_come_is_told_so_and_the_connection_is_closed(address: tuple[str, int]) -> None:
    async with _connection(address) as (reader, writer):
        writer.write(POST + b"Content-Length: 60\r\n\r\n{")
        reply = await _all(reader)
    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in head.lower()
    assert json.loads(body)["error"] == "REQUEST_TIMEOUT"


async def test_a_body_that_comes_byte_by_byte_has_no_more_time_for_it(address: tuple[str, int]) -> None:
    async with _connection(address) as (reader, writer):
        writer.write(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        started_at = time.monotonic()
        dripping = asyncio.create_task(_drip(writer, b"1\r\n \r\n", LONG))
        reply = await _all(reader)
        took = time.monotonic() - started_at
        dripping.cancel()
    assert reply.startswith(b"HTTP/1.1 408 ")
    assert took < SOON


@pytest.mark.parametrize("piece", [b"", b"X-Slow: 1\r\n"])
async def test_a_head_that_does_not_end_has_the_connection_closed(piece: bytes, address: tuple[str, int]) -> None:
    async with _connection(address) as (reader, writer):
        writer.write(b"GET /livez HTTP/1.1\r\nHost: skyhold.test\r\n")
        started_at = time.monotonic()
        dripping = asyncio.create_task(_drip(writer, piece, LONG))
        assert await _all(reader) == b""
        assert time.monotonic() - started_at < SOON
        dripping.cancel()


@pytest.mark.parametrize("size", [15_000, 18_000, 60_000])
async def test_a_head_may_be_so_long_and_no_longer_also_if_it_comes_in_one_go(
    size: int, address: tuple[str, int]
) -> None:
    async with _connection(address) as (reader, writer):
        writer.write(b"GET /livez HTTP/1.1\r\nHost: skyhold.test\r\nConnection: close\r\n")
        writer.write(b"X-Long: " + b"x" * size + b"\r\n\r\n")
        reply = await _all(reader)
    assert reply.startswith(b"HTTP/1.1 200 " if size < HEAD_LIMIT_BYTES else b"HTTP/1.1 431 ")


async def test_a_connection_that_says_nothing_is_closed(address: tuple[str, int]) -> None:
    async with _connection(address) as (reader, _):
        assert await _all(reader) == b""


async def test_a_body_that_nobody_reads_does_not_keep_a_connection_for_ever(address: tuple[str, int]) -> None:
    async with _connection(address) as (reader, writer):
        writer.write(b"GET /livez HTTP/1.1\r\nHost: skyhold.test\r\nContent-Length: 100000\r\n\r\n")
        dripping = asyncio.create_task(_drip(writer, b"x", LONG))
        started_at = time.monotonic()
        assert (await _all(reader)).startswith(b"HTTP/1.1 200 ")
        assert time.monotonic() - started_at < SOON
        dripping.cancel()


@pytest.mark.parametrize("count", [1, 30, 100])
@pytest.mark.parametrize("last", [b"", b"Connection: close\r\n"])
async def test_a_client_that_reads_no_answer_does_not_keep_a_connection_for_ever(
    count: int, last: bytes, running: Server, address: tuple[str, int]
) -> None:
    """Both if all replies wait to be sent, and if replies are still to be made."""
    request = b"GET /openapi.json HTTP/1.1\r\nHost: skyhold.test\r\n"
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        deaf.settimeout(0)
        await asyncio.get_running_loop().sock_connect(deaf, address)
        deaf.send((request + b"\r\n") * count + request + last + b"\r\n")
        async with asyncio.timeout(10):
            while not running.server_state.connections:  # noqa: ASYNC110 - they are uvicorn's
                await asyncio.sleep(0.01)
        async with asyncio.timeout(LONG):
            while running.server_state.connections or running.server_state.tasks:  # noqa: ASYNC110 - they are uvicorn's
                await asyncio.sleep(0.05)


GET = b"GET /livez HTTP/1.1\r\nHost: skyhold.test\r\n\r\n"


async def test_a_connection_may_be_idle_for_longer_than_a_head_may_take(
    address: tuple[str, int],
) -> None:
    async with _connection(address) as (reader, writer):
        for _ in range(3):
            writer.write(GET)
            assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200 ")
            await asyncio.sleep(2 * SLOW)


async def test_the_time_of_the_next_head_counts_from_its_first_byte(address: tuple[str, int]) -> None:
    async with _connection(address) as (reader, writer):
        writer.write(GET)
        assert await reader.readuntil(b"}")
        await asyncio.sleep(2 * SLOW)
        writer.write(GET[:1])
        dripping = asyncio.create_task(_drip(writer, b"E", LONG))
        started_at = time.monotonic()
        assert await _all(reader) == b""
        assert time.monotonic() - started_at < SOON
        dripping.cancel()


async def test_the_time_of_a_head_that_came_with_the_request_before_counts_from_its_answer(
    address: tuple[str, int],
) -> None:
    async with _connection(address) as (reader, writer):
        writer.write(GET + GET[:10])
        started_at = time.monotonic()
        assert (await _all(reader)).startswith(b"HTTP/1.1 200 ")
        assert time.monotonic() - started_at < SOON


async def test_no_timer_runs_on_after_a_reset(running: Server, address: tuple[str, int]) -> None:
    async with _connection(address) as (reader, writer):
        writer.write(GET)
        assert await reader.readuntil(b"}")
        [connection] = running.server_state.connections
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        async with asyncio.timeout(SOON):
            while running.server_state.connections:  # noqa: ASYNC110 - they are uvicorn's
                await asyncio.sleep(0.01)
    assert isinstance(connection, BoundedProtocol)
    assert (connection.timeout_keep_alive_task, connection.head_timer) == (None, None)


async def test_a_connection_that_is_idle_for_too_long_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", LONG)
    async with _running(keep_alive=timedelta(seconds=SLOW)) as quick, _connection(_address_of(quick)) as connection:
        reader, writer = connection
        writer.write(GET)
        started_at = time.monotonic()
        assert (await _all(reader)).startswith(b"HTTP/1.1 200 ")
        assert time.monotonic() - started_at < SOON


@pytest.mark.parametrize(
    ("head", "body", "status"),
    [
        (b"Content-Length: %d\r\n" % len(GOOD), GOOD, 201),
        (b"Transfer-Encoding: chunked\r\n", b"%x\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD), 201),
        (b"Content-Length: 99999999999999999999\r\n", b"", 413),
        (b"Transfer-Encoding: chunked\r\n", b"10001\r\n" + b" " * 0x10001 + b"\r\n0\r\n\r\n", 413),
        (b"Content-Length: 65537\r\n", b" " * 65537, 413),
        (b"Content-Length: 5\r\n", b'{"flightId": 1}', 400),
        (b"Content-Length: -1\r\n", GOOD, 400),
        (b"Content-Length: 1\r\nContent-Length: 2\r\n", GOOD, 400),
        (b"Transfer-Encoding: gzip\r\n", GOOD, 400),
        (b"Content-Encoding: gzip\r\nContent-Length: 3\r\n", b"\x1f\x8b\x08", 415),
        (b"X-Large: %b\r\n" % (b"x" * 20_000), b"", 431),
        (b"Expect: 100-continue\r\nContent-Length: %d\r\n" % len(GOOD), GOOD, 100),
    ],
)
async def test_a_body_is_taken_for_what_it_is(head: bytes, body: bytes, status: int, address: tuple[str, int]) -> None:
    async with _connection(address) as (reader, writer):
        writer.write(POST + head + b"\r\n" + body)
        first = await reader.readline()
    assert first.startswith(b"HTTP/1.1 %d " % status), first


@pytest.mark.parametrize("line", [b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"GET /\xff HTTP/1.1\r\n\r\n"])
async def test_what_is_no_http_is_refused_and_not_repeated(line: bytes, address: tuple[str, int]) -> None:
    async with _connection(address) as (reader, writer):
        writer.write(line + b"\r\n\r\n")
        reply = await _all(reader)
    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert line not in reply
    assert json.loads(body)["error"] == "INVALID_REQUEST"
    assert b"connection: close" in head.lower()
    assert b"x-request-id: " + json.loads(body)["requestId"].encode() in head.lower()
    assert b"x-content-type-options: nosniff" in head.lower()


COOKIES = b"Cookie: " + b"; ".join(b"cookie-%d=%b" % (number, b"x" * 1000) for number in range(40))


@pytest.mark.parametrize("accept", [b"text/html,*/*;q=0.8", b"application/json", b""])
@pytest.mark.parametrize("path", [b"/", b"/flights/x?order=1", b"/nowhere", b"/api/flights"])
async def test_too_many_cookies_of_others_are_explained_to_people_and_to_programs(
    path: bytes, accept: bytes, address: tuple[str, int]
) -> None:
    async with _connection(address) as (reader, writer):
        writer.write(b"GET %b HTTP/1.1\r\nHost: skyhold.test\r\nAccept: %b\r\n%b\r\n\r\n" % (path, accept, COOKIES))
        reply = await _all(reader)
    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ")
    assert b"cookie-7" not in reply
    assert b"set-cookie" not in head.lower()
    is_page = path in {b"/", b"/flights/x?order=1"} or (path == b"/nowhere" and b"html" in accept)
    if not is_page:
        assert json.loads(body)["error"] == "REQUEST_HEADERS_TOO_LARGE"
        return
    page = Markup(body.decode())
    assert "Delete the cookies of this address that you do not need" in page.said
    assert page.loaded == ["data:,"]
    style = "".join(page.inline)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest())
    assert b"style-src 'sha256-" + digest + b"'" in head


@pytest.mark.parametrize("accept", [b"text/html", b"application/json"])
async def test_an_address_that_is_too_long_is_not_said_to_be_cookies(accept: bytes, address: tuple[str, int]) -> None:
    async with _connection(address) as (reader, writer):
        writer.write(b"GET /flights?next=%b HTTP/1.1\r\nAccept: %b\r\n\r\n" % (b"x" * 20_000, accept))
        reply = await _all(reader)
    assert reply.startswith(b"HTTP/1.1 431 ")
    problem = json.loads(reply.partition(b"\r\n\r\n")[2])
    assert problem["error"] == "REQUEST_HEADERS_TOO_LARGE"
    assert problem["detail"].startswith("The address (URL) of the request is longer than 16 KB.")
    assert b"ookie" not in reply


async def test_a_client_that_is_still_sending_when_it_is_rejected_gets_the_answer(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "LINGER_SECONDS", LONG)
    async with _connection(address) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: skyhold.test\r\n")
        await _drip(writer, COOKIES[:8000] + b"\r\n", SLOW)
        started_at = time.monotonic()
        assert (await _all(reader)).startswith(b"HTTP/1.1 431 ")
        assert time.monotonic() - started_at < SOON


async def test_a_rejected_client_that_never_stops_sending_is_cut_off(running: Server, address: tuple[str, int]) -> None:
    async with _connection(address) as (_, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: skyhold.test\r\n" + COOKIES)
        dripping = asyncio.create_task(_drip(writer, COOKIES, LONG))
        async with asyncio.timeout(SOON):
            while not running.server_state.total_requests:  # noqa: ASYNC110 - it is uvicorn's
                await asyncio.sleep(0.01)
            while running.server_state.connections:  # noqa: ASYNC110 - they are uvicorn's
                await asyncio.sleep(0.01)
        dripping.cancel()


@pytest.mark.parametrize("first", [b"1\r\n{\r\n", b""])
async def test_an_invalid_body_is_rejected_once(first: bytes, address: tuple[str, int]) -> None:
    async with _connection(address) as (reader, writer):
        writer.write(POST + b"Transfer-Encoding: chunked\r\n\r\n" + first)
        await asyncio.sleep(0.05)
        writer.write(b"no chunk\r\n")
        reply = await _all(reader)
    assert reply.count(b"HTTP/1.1 400 ") == 1
    assert reply.startswith(b"HTTP/1.1 400 ")
    assert json.loads(reply.partition(b"\r\n\r\n")[2])["error"] == "INVALID_REQUEST"


async def test_garbage_after_a_request_is_rejected_after_its_answer(address: tuple[str, int]) -> None:
    async with _connection(address) as (reader, writer):
        writer.write(GET + b"nonsense\r\n\r\n")
        reply = await _all(reader)
    assert reply.startswith(b"HTTP/1.1 200 ")
    assert reply.count(b"HTTP/1.1 400 ") == 1


async def test_an_answer_that_has_started_is_not_mixed_with_a_rejection(address: tuple[str, int]) -> None:
    async with _connection(address) as (reader, writer):
        writer.write(b"GET /livez HTTP/1.1\r\nHost: skyhold.test\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert await reader.readuntil(b"}")
        writer.write(b"no chunk\r\n")
        assert await _all(reader) == b""
