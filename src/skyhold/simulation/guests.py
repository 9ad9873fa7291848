"""How a customer speaks with the API: as a guest with a cookie of their own, over connections that the crowd shares.

A command goes out under a name of its own, and is asked again under that name while its reply is lost, the API is away
or a server behind it is. Limits are waited out as long as the API asks for.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from time import monotonic, perf_counter
from types import TracebackType
from typing import Any, Self

import httpx
from httpx_sse import EventSource, SSEError

from skyhold.simulation.pauses import Pauses
from skyhold.simulation.replies import (
    Act,
    Refused,
    Reply,
    Surprise,
    Unreachable,
    body_of,
    code_of,
    described,
    is_broken,
    read_reply,
)

REQUESTS_AT_ONCE = 24
STREAMS_AT_ONCE = 64
"""Together so many connections at most; a customer who finds no stream free looks now and then instead. Streams have a
pool of their own, since a pool looks at each of its connections for every request."""

TIMEOUT_SECONDS = 10.0
IDLE_SECONDS = 4.0
"""Connections that rest for longer are closed from here, a second before the API does."""

SILENCE_SECONDS = 45.0
"""The API says something on every stream each 15 seconds; one that is silent for longer is dead."""

PATIENCE_SECONDS = 15.0
LAST_PATIENCE_SECONDS = 5.0
"""How long something is asked again for: an API that is restarted is back by then. Who has to leave has less."""

RETRY_SECONDS = 0.5
LOOK_SECONDS = 1.0

_TERMINAL = frozenset({"CONFIRMED", "FAILED", "EXPIRED"})
_TOO_MANY = 429


class Api:
    """The API as the whole crowd asks it: bounded pools of connections, and no cookies but those of its guests."""

    def __init__(
        self, address: str, *, uses_proxies: bool = False, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        def client(connections: int) -> httpx.AsyncClient:
            return httpx.AsyncClient(
                base_url=address,
                timeout=TIMEOUT_SECONDS,
                trust_env=uses_proxies,
                transport=transport,
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                limits=httpx.Limits(max_connections=connections, keepalive_expiry=IDLE_SECONDS),
            )

        self.requests = asyncio.Semaphore(REQUESTS_AT_ONCE)
        self.streams = asyncio.Semaphore(STREAMS_AT_ONCE)
        self.client = client(REQUESTS_AT_ONCE)
        self.streaming_client = client(STREAMS_AT_ONCE)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.client.aclose()
        await self.streaming_client.aclose()


class Guest:
    """One customer's own way to the API."""

    def __init__(self, api: Api, pauses: Pauses) -> None:
        self.is_going_home = False
        self.is_kept_waiting = False
        self.uncertain_order_id: str | None = None
        self._api = api
        self._pauses = pauses
        self._retries = 0
        self._cookies = httpx.Cookies()

    async def ask(
        self, act: Act, method: str, path: str, body: Mapping[str, Any] | None = None, *, if_match: str | None = None
    ) -> Reply:
        """Ask, again if need be, and return the yes.

        `uncertain_order_id` is afterwards the order for which a command was sent without ever being answered, if any.

        Raises:
            Refused: it was a no.
            Unreachable: nobody answers.
            Surprise: the API went on failing, or answered what it must not.
            Leaving: all were told to go home while the API wanted to be left alone.
        """
        self.uncertain_order_id, self.is_kept_waiting = None, False
        headers = _headers(method, if_match)
        troubled_since: float | None = None
        while True:
            trouble: Unreachable | Surprise
            try:
                response, seconds = await self._send(method, path, body, headers)
            except httpx.TransportError as lost:
                trouble = Unreachable(type(lost).__name__)
            else:
                if response.status_code == _TOO_MANY:
                    await self._leave_alone(_retry_after(response))
                    continue
                if not is_broken(response) and code_of(response) != "GIVEN_UP":
                    self.uncertain_order_id, self.is_kept_waiting = None, False
                    return read_reply(act, response, seconds)
                # What was given up was not done: that is asked for anew, under another name.
                headers = headers if is_broken(response) else _headers(method, if_match)
                self.uncertain_order_id = (body_of(response) or {}).get("orderId", self.uncertain_order_id)
                trouble = Surprise(f"A {act} was answered {described(response)}, again and again.")
            troubled_since = troubled_since or monotonic()
            if monotonic() >= troubled_since + self._patience_seconds:
                raise trouble
            self._keep_waiting()
            await asyncio.sleep(RETRY_SECONDS)

    def take_retries(self) -> int:
        """Return how often something had to be asked again since this was last told."""
        retries, self._retries = self._retries, 0
        return retries

    async def await_end(self, order_id: str) -> Mapping[str, Any]:
        """Follow the order until it has ended, and return its last status.

        Raises:
            Unreachable: nobody answers.
            Surprise: the API went on failing, or answered what it must not.
        """
        while True:
            status = None if self._api.streams.locked() else await self._listen(order_id)
            if status is None:
                status = await self.status(order_id)
            if _has_ended(status):
                return status
            await asyncio.sleep(LOOK_SECONDS)

    async def status(self, order_id: str) -> Mapping[str, Any]:
        """Return where the order stands.

        Raises:
            Unreachable: nobody answers.
            Surprise: the API went on failing, or answered what it must not.
        """
        try:
            return (await self.ask(Act.FOLLOW, "GET", f"/api/orders/{order_id}/status")).body
        except Refused as refused:
            raise Surprise(f"A look at an order of one's own was refused: {refused.code}.") from refused

    @property
    def _patience_seconds(self) -> float:
        return LAST_PATIENCE_SECONDS if self._pauses.is_leaving else PATIENCE_SECONDS

    def _keep_waiting(self) -> None:
        self.is_kept_waiting = True
        self._retries += 1

    async def _leave_alone(self, seconds: float) -> None:
        self._keep_waiting()
        await (asyncio.sleep(seconds) if self.is_going_home else self._pauses.wait(seconds))

    async def _listen(self, order_id: str) -> Mapping[str, Any] | None:
        """Return the last that an order's stream told, or None if it told nothing; why, a look at the status says."""
        status: Mapping[str, Any] | None = None
        request = self._request(
            "GET",
            f"/api/orders/{order_id}/events",
            headers={"Accept": "text/event-stream"},
            timeout=httpx.Timeout(TIMEOUT_SECONDS, read=SILENCE_SECONDS),
        )
        async with self._api.streams:
            try:
                response = await self._api.streaming_client.send(request, stream=True)
                try:
                    if response.status_code == httpx.codes.OK:
                        async for event in EventSource(response).aiter_sse():
                            if event.event == "order":
                                status = dict(json.loads(event.data))
                finally:
                    await response.aclose()
            except (httpx.TransportError, SSEError, ValueError):
                self._retries += 1
        return status

    async def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str]
    ) -> tuple[httpx.Response, float]:
        async with self._api.requests:
            began_at = perf_counter()
            response = await self._api.client.send(self._request(method, path, body, headers))
            seconds = perf_counter() - began_at
        self._cookies.extract_cookies(response)
        return response, seconds

    def _request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: httpx.Timeout | float = TIMEOUT_SECONDS,
    ) -> httpx.Request:
        request = self._api.client.build_request(method, path, json=body, headers=headers, timeout=timeout)
        self._cookies.set_cookie_header(request)
        return request


def _has_ended(status: Mapping[str, Any]) -> bool:
    """Say whether this is the last status of its order."""
    return status.get("status") in _TERMINAL


def _headers(method: str, if_match: str | None) -> dict[str, str]:
    name = {"Idempotency-Key": secrets.token_urlsafe(24)} if method in {"POST", "PUT"} else {}
    return name | ({"If-Match": if_match} if if_match else {})


def _retry_after(response: httpx.Response) -> float:
    """Return for how long the API asks to be left alone: a second, if it does not say."""
    told = response.headers.get("Retry-After", "")
    return float(told) if told.isdecimal() else 1.0
