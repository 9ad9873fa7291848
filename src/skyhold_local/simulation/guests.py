"""A customer's client of the API: a guest with its own cookie, on connections that the crowd shares.

A command has its own idempotency key, and is retried under this key while its reply is lost or the API or a server
behind it is unavailable. After a 429 it waits as long as `Retry-After` says.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from http.cookiejar import DefaultCookiePolicy
from time import monotonic, perf_counter
from typing import Any

import httpx
from httpx_sse import EventSource, ServerSentEvent, SSEError

from skyhold_local.simulation.connections import SILENCE_SECONDS, TIMEOUT_SECONDS, Api
from skyhold_local.simulation.pauses import Pauses
from skyhold_local.simulation.replies import (
    Act,
    ContractViolation,
    Refused,
    Reply,
    ResponseTime,
    Unreachable,
    body_of,
    code_of,
    describe_response,
    is_server_error,
    is_unavailable,
    read_reply,
    require_new,
)

RETRY_SECONDS = 0.5
LONGEST_RETRY_SECONDS = 2.0
"""Pause before a retry: the first, and the longest."""

POLL_SECONDS = 1.0
"""Pause between two reads of an order's status."""

BEAT = "beat"
"""The heartbeat event of a stream."""

DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
"""The code of a refusal because the command arrived after its deadline; it must be sent again with a new key."""

_TERMINAL = frozenset({"CONFIRMED", "FAILED", "EXPIRED"})
_TOO_MANY = 429
_BACKOFF_FACTOR = 1.5


@dataclass(frozen=True)
class Call:
    """A request to the API; a command may have an idempotency key among its headers.

    `content` is sent instead of a JSON `body`. Neither is in the repr, because a body may contain a payment code.
    """

    method: str
    path: str
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    content: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def key(self) -> str:
        """The idempotency key, or an empty string."""
        return self.headers.get("Idempotency-Key", "")

    def with_key(self) -> Call:
        """Return the same call with a new idempotency key."""
        return replace(self, headers={**self.headers, "Idempotency-Key": secrets.token_urlsafe(24)})


def call_of(method: str, path: str, body: Mapping[str, Any] | None = None, *, if_match: str | None = None) -> Call:
    """Return the call of an honest customer, with an idempotency key if the API accepts one for its method."""
    call = Call(method, path, body, headers={"If-Match": if_match} if if_match else {})
    return call.with_key() if method in {"POST", "PUT"} else call


class Guest:
    """One customer's client of the API.

    `uncertain_order_ids` are orders that may hold seats, though no reply confirmed it; `failures` counts failed
    requests by kind. While `is_releasing`, rate limits are waited out also after the crowd was stopped.
    """

    def __init__(self, api: Api, pauses: Pauses) -> None:
        self.is_releasing = False
        self.is_retrying = False
        self.uncertain_order_ids: set[str] = set()
        self.failures: Counter[str] = Counter()
        self._api = api
        self._pauses = pauses
        # By PUBLIC_URL the API marks its cookies Secure, also for a crowd that bypasses the proxy, over plain HTTP.
        self._cookies = httpx.Cookies()
        self._cookies.jar.set_policy(DefaultCookiePolicy(secure_protocols=("http", "https")))

    @property
    def cookie(self) -> str:
        """The Cookie header by which the API identifies this guest; empty before the API set one."""
        return str(self._request(Call("GET", "/api/orders")).headers.get("Cookie", ""))

    async def send(
        self, act: Act, method: str, path: str, body: Mapping[str, Any] | None = None, *, if_match: str | None = None
    ) -> Reply:
        """Send a request, retry it if necessary, and return the successful reply.

        Raises:
            Refused: it was refused.
            Unreachable: the API or a server behind it stayed unavailable.
            ContractViolation: the API kept failing, or the reply is not one that it documents.
            CrowdStopped: the crowd was stopped while a rate limit was waited out.
        """
        given_up_since = 0.0
        while True:
            try:
                # A command that missed its deadline was not carried out: it needs a new key.
                reply = await self.send_call(act, call_of(method, path, body, if_match=if_match))
            except Refused as refused:
                require_new(act, refused)
                if refused.code != DEADLINE_EXCEEDED:
                    raise
            else:
                require_new(act, reply)
                return reply
            given_up_since = given_up_since or monotonic()
            if monotonic() >= given_up_since + self._pauses.retry_seconds:
                raise ContractViolation(f"A {act} was refused as {DEADLINE_EXCEEDED} until the retry time was over.")
            self._count_failure(DEADLINE_EXCEEDED)
            await asyncio.sleep(RETRY_SECONDS)

    async def send_call(self, act: Act, call: Call) -> Reply:
        """Send this call with its key, retry it if necessary, and return the successful reply.

        Raises:
            Refused: it was refused, maybe as `DEADLINE_EXCEEDED`.
            Unreachable: the API or a server behind it stayed unavailable.
            ContractViolation: the API kept failing, or the reply is not one that it documents.
            CrowdStopped: the crowd was stopped while a rate limit was waited out.
        """
        unknown: set[str] = set()
        response, response_time = await self.send_until_answered(f"A {act}", call, unknown if act is Act.HOLD else None)
        self.uncertain_order_ids -= unknown
        return read_reply(act, response, response_time, call.key)

    async def send_until_answered(
        self, subject: str, call: Call, unknown: set[str] | None = None, *, retries_server_errors: bool = True
    ) -> tuple[httpx.Response, ResponseTime]:
        """Return the first response that is a success or a refusal, and its response time.

        `unknown` receives the ids of orders with an unknown outcome. With `retries_server_errors`, faults of the API
        itself are retried too, because they may be temporary. `subject` names the request in errors.

        Raises:
            Unreachable: the API or a server behind it stayed unavailable.
            ContractViolation: the API itself failed.
            CrowdStopped: the crowd was stopped while a rate limit was waited out.
        """
        started_at, failing_since, pause, tries = perf_counter(), 0.0, RETRY_SECONDS, 0
        self.is_retrying = False
        while True:
            failure: Unreachable | ContractViolation
            tries += 1
            try:
                response, timing = await self._api.send(self._request(call))
            except httpx.TransportError as lost:
                failure, name = Unreachable(type(lost).__name__), type(lost).__name__
            else:
                self._cookies.extract_cookies(response)
                if response.status_code == _TOO_MANY:
                    await self._wait_out_limit(_retry_after(response))
                    continue
                if not is_server_error(response):
                    self.is_retrying = False
                    return response, ResponseTime(timing.seconds, perf_counter() - started_at, tries)
                failure, name = _failure_of(subject, response), _name_of(response)
                self._add_unknown(response, unknown)
            failing_since = failing_since or monotonic()
            self._count_failure(name)
            is_final = isinstance(failure, ContractViolation) and not retries_server_errors
            if is_final or monotonic() >= failing_since + self._pauses.retry_seconds:
                raise failure
            await asyncio.sleep(pause)
            pause = min(pause * _BACKOFF_FACTOR, LONGEST_RETRY_SECONDS)

    async def send_and_disconnect(self, call: Call, seconds: float) -> None:
        """Send this call, and close its connection so many seconds later without reading the reply or its cookie."""
        try:
            await self._api.send_and_disconnect(self._request(call), seconds)
        except httpx.TransportError as lost:
            self._count_failure(type(lost).__name__)

    async def await_end(self, order_id: str, on_status: Callable[[Mapping[str, Any]], None]) -> Mapping[str, Any]:
        """Follow the order until it has ended, and return its last status; `on_status` receives each one in order.

        Raises:
            Unreachable: the API or a server behind it stayed unavailable.
            ContractViolation: the API kept failing, or a reply is not one that it documents.
        """
        while True:
            status = None if self._api.streams.locked() else await self._follow_stream(order_id, on_status)
            if status is None:
                status = await self.status(order_id)
                on_status(status)
            if _has_ended(status):
                return status
            await asyncio.sleep(POLL_SECONDS)

    async def status(self, order_id: str) -> Mapping[str, Any]:
        """Return the status of the order.

        Raises:
            Unreachable: the API or a server behind it stayed unavailable.
            ContractViolation: the API kept failing, or the reply is not one that it documents.
        """
        try:
            return (await self.send(Act.FOLLOW, "GET", f"/api/orders/{order_id}/status")).body
        except Refused as refused:
            raise ContractViolation(f"The status of an own order was refused: {refused.code}.") from refused

    def take_failures(self) -> Counter[str]:
        """Return the failures since the last call, and reset them."""
        failures, self.failures = self.failures, Counter()
        return failures

    def _count_failure(self, name: str) -> None:
        self.is_retrying = True
        self.failures[name] += 1

    def _add_unknown(self, response: httpx.Response, unknown: set[str] | None) -> None:
        order_id = (body_of(response) or {}).get("orderId")
        if unknown is not None and isinstance(order_id, str):
            unknown.add(order_id)
            self.uncertain_order_ids.add(order_id)

    async def _wait_out_limit(self, seconds: float) -> None:
        self._count_failure(f"{_TOO_MANY} RATE_LIMITED")
        await (asyncio.sleep(seconds) if self.is_releasing else self._pauses.wait(seconds))

    async def _follow_stream(
        self, order_id: str, on_status: Callable[[Mapping[str, Any]], None]
    ) -> Mapping[str, Any] | None:
        """Return the last status on an order's stream, or None if there was none; then the caller reads the status."""
        status: Mapping[str, Any] | None = None
        request = self._request(
            Call("GET", f"/api/orders/{order_id}/events", headers={"Accept": "text/event-stream"}),
            timeout=httpx.Timeout(TIMEOUT_SECONDS, read=SILENCE_SECONDS),
        )
        async with self._api.streams:
            try:
                response = await self._api.streaming_client.send(request, stream=True)
                try:
                    if response.status_code == httpx.codes.OK:
                        async for event in _alive(EventSource(response).aiter_sse()):
                            if event.event == "order":
                                status = dict(json.loads(event.data))
                                on_status(status)
                finally:
                    await response.aclose()
            except (httpx.TransportError, SSEError, ValueError) as lost:
                self.failures[f"stream {type(lost).__name__}"] += 1
        return status

    def _request(self, call: Call, timeout: httpx.Timeout | float = TIMEOUT_SECONDS) -> httpx.Request:
        request = self._api.build_request(
            call.method,
            call.path,
            json=call.body,
            content=call.content,
            headers=call.headers,
            timeout=timeout,
        )
        if "Cookie" not in request.headers:
            self._cookies.set_cookie_header(request)
        return request


async def _alive(events: AsyncIterator[ServerSentEvent]) -> AsyncIterator[ServerSentEvent]:
    """Yield the events of a stream, beats included, as long as they are frequent enough.

    Raises:
        httpx.ReadTimeout: after the first beat there was no event for too long, even if a proxy sends comments.
    """
    last_event_at, has_beats = monotonic(), False
    async for event in events:
        if event.data:
            last_event_at, has_beats = monotonic(), has_beats or event.event == BEAT
            yield event
        elif has_beats and monotonic() > last_event_at + SILENCE_SECONDS:
            raise httpx.ReadTimeout("the stream is silent")


def _has_ended(status: Mapping[str, Any]) -> bool:
    """Return whether this is the last status of its order."""
    return status.get("status") in _TERMINAL


def _failure_of(subject: str, response: httpx.Response) -> Unreachable | ContractViolation:
    """Return the error to raise if a server error persists."""
    if is_unavailable(response):
        return Unreachable(describe_response(response))
    return ContractViolation(f"{subject} was answered {describe_response(response)}.")


def _name_of(response: httpx.Response) -> str:
    return f"{response.status_code} {code_of(response)}".rstrip()


def _retry_after(response: httpx.Response) -> float:
    """Return the seconds of `Retry-After`, or 1 without a valid one."""
    seconds = response.headers.get("Retry-After", "")
    return float(seconds) if seconds.isdecimal() else 1.0
