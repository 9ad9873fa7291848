"""The connections that a crowd shares: bounded, and honest about how long a request had to wait for one.

A request may also be sent by someone who hangs up before they have read the reply, as a telephone in a tunnel does.
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
"""Together so many connections at most; a customer who finds no stream free looks now and then instead."""

TIMEOUT_SECONDS = 10.0
IDLE_SECONDS = 4.0
"""Connections that rest for longer are closed from here, before the API or a proxy in front of it does."""

SILENCE_SECONDS = 45.0
"""Every stream has an event each 15 seconds, if only a beat; one without any for so long is dead."""

_NOT_INSTALLED = "sniffio"
"""The library below looks for this module ten times a request, through all folders of the path if it is not there."""

_WAITS_FOR_THE_REPLY = "http11.receive_response_headers.started"


@dataclass(frozen=True)
class Timing:
    """How long an answer took from when its request was sent, and how long a connection was waited for before."""

    seconds: float
    queued_seconds: float = 0.0


class Api:
    """The API as the whole crowd asks it: bounded pools of connections, and no cookies but those of its guests."""

    def __init__(
        self, address: str, *, uses_proxies: bool = False, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        tls = tls_of(address)
        # Made once: the authorities are read from a file that is long.
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

        _remember_what_is_not_installed()
        self.streams = asyncio.Semaphore(STREAMS_AT_ONCE)
        self.streaming_client = client(STREAMS_AT_ONCE)
        # One connection each: a pool looks at each of its connections for every request, at hundreds of them a second.
        self._lines = [client(1) for _ in range(REQUESTS_AT_ONCE)]
        self._free_lines: asyncio.LifoQueue[httpx.AsyncClient] = asyncio.LifoQueue()
        for line in self._lines:
            self._free_lines.put_nowait(line)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for line in (*self._lines, self.streaming_client):
            await line.aclose()

    def build_request(self, method: str, path: str, **parts: Any) -> httpx.Request:
        """Return a request to this API, not sent yet."""
        return self.streaming_client.build_request(method, path, **parts)

    async def send(self, request: httpx.Request) -> tuple[httpx.Response, Timing]:
        """Send a request when a connection is free, and return the answer with its times."""
        wanted_at = perf_counter()
        async with self._line() as line:
            sent_at = perf_counter()
            response = await line.send(request)
            return response, Timing(perf_counter() - sent_at, sent_at - wanted_at)

    async def send_and_hang_up(self, request: httpx.Request, seconds: float) -> None:
        """Send a request whole, and close its connection so long after without having read a word of the reply.

        Raises:
            httpx.TransportError: it could not be sent.
        """

        async def hang_up(event: str, _: Any) -> None:
            if event == _WAITS_FOR_THE_REPLY:
                await asyncio.sleep(seconds)
                raise _HungUp

        request.extensions["trace"] = hang_up
        async with self._line() as line:
            try:
                response = await line.send(request, stream=True)
            except _HungUp:
                return
            await response.aclose()

    @contextlib.asynccontextmanager
    async def _line(self) -> AsyncIterator[httpx.AsyncClient]:
        """Lend a connection, the one that was used last first; who waits for one gets it in their turn."""
        line = await self._free_lines.get()
        try:
            yield line
        finally:
            self._free_lines.put_nowait(line)


class _HungUp(Exception):
    """The connection is closed from here."""


def _remember_what_is_not_installed() -> None:
    if importlib.util.find_spec(_NOT_INSTALLED) is None:
        # What Python remembers of a module that is not there, in the form that it has for that.
        cast("dict[str, object]", sys.modules).setdefault(_NOT_INSTALLED, None)
