"""The connections that a crowd shares: bounded, with the queueing time of each request measured.

A request may also be sent and its connection closed before the reply is read, as on a mobile network.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from time import perf_counter
from types import TracebackType
from typing import Any, Self, cast

import httpx

from skyhold.addresses.http import tls_of

REQUESTS_AT_ONCE = 48
STREAMS_AT_ONCE = 64
"""Maximum numbers of connections; a customer who finds no free stream polls instead."""

TIMEOUT_SECONDS = 10.0
IDLE_SECONDS = 4.0
"""Connections that are idle for longer are closed by the crowd, before the API or a proxy in front of it does."""

SILENCE_SECONDS = 45.0
"""A stream without any event for this time is dead: the API sends a `beat` every 15 seconds."""

_MISSING_MODULE = "sniffio"
"""A module that httpcore tries to import ten times a request, which searches the whole path if it is not installed."""

_REQUEST_SENT = "http11.receive_response_headers.started"
"""The trace event of httpcore after which the request is sent and the reply is awaited."""


@dataclass(frozen=True)
class Timing:
    """Seconds from sending a request to its reply, and seconds spent waiting for a free connection before that."""

    seconds: float
    queued_seconds: float = 0.0


class Api:
    """The API's client for the whole crowd: bounded pools of connections, without cookies; each guest has its own."""

    def __init__(
        self, address: str, *, uses_proxies: bool = False, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        tls = tls_of(address)
        # Made once, because the file of certificate authorities is long.
        encryption = httpx.create_ssl_context(trust_env=uses_proxies) if tls is True else tls

        def client(connections: int) -> httpx.AsyncClient:
            return httpx.AsyncClient(
                base_url=address,
                timeout=TIMEOUT_SECONDS,
                trust_env=uses_proxies,
                verify=encryption,
                transport=transport,
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                limits=httpx.Limits(max_connections=connections, keepalive_expiry=IDLE_SECONDS),
            )

        _cache_missing_module()
        self.streams = asyncio.Semaphore(STREAMS_AT_ONCE)
        self.streaming_client = client(STREAMS_AT_ONCE)
        # One connection each: a pool checks all its connections for every request, at hundreds of requests a second.
        self._connections = [client(1) for _ in range(REQUESTS_AT_ONCE)]
        self._free_connections: asyncio.LifoQueue[httpx.AsyncClient] = asyncio.LifoQueue()
        for connection in self._connections:
            self._free_connections.put_nowait(connection)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for each in (*self._connections, self.streaming_client):
            await each.aclose()

    def build_request(self, method: str, path: str, **parts: Any) -> httpx.Request:
        """Return a request to this API, without sending it."""
        return self.streaming_client.build_request(method, path, **parts)

    async def send(self, request: httpx.Request) -> tuple[httpx.Response, Timing]:
        """Send a request when a connection is free, and return the reply with its times."""
        wanted_at = perf_counter()
        async with self._connection() as connection:
            sent_at = perf_counter()
            response = await connection.send(request)
            return response, Timing(perf_counter() - sent_at, sent_at - wanted_at)

    async def send_and_disconnect(self, request: httpx.Request, seconds: float) -> None:
        """Send a whole request, and close its connection so many seconds later without reading the reply.

        Raises:
            httpx.TransportError: it could not be sent.
        """

        async def disconnect(event: str, _: Any) -> None:
            if event == _REQUEST_SENT:
                await asyncio.sleep(seconds)
                raise _Disconnected

        request.extensions["trace"] = disconnect
        async with self._connection() as connection:
            try:
                response = await connection.send(request, stream=True)
            except _Disconnected:
                return
            await response.aclose()

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[httpx.AsyncClient]:
        """Lend the free connection that was used last, in the order of the callers."""
        connection = await self._free_connections.get()
        try:
            yield connection
        finally:
            self._free_connections.put_nowait(connection)


class _Disconnected(Exception):
    """The connection is closed by the crowd on purpose."""


def _cache_missing_module() -> None:
    if importlib.util.find_spec(_MISSING_MODULE) is None:
        # None in sys.modules makes an import fail at once.
        cast("dict[str, object]", sys.modules).setdefault(_MISSING_MODULE, None)
