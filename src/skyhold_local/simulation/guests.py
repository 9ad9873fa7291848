"""How a customer speaks with the API: as a guest with a cookie of their own, over connections that the crowd shares.

A command goes out under a name of its own, and is asked again under that name while its reply is lost, the API is away
or a server behind it is. Limits are waited out as long as the API asks for.
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
    Unreachable,
    Waited,
    body_of,
    code_of,
    described,
    is_away,
    is_broken,
    read_reply,
    require_new,
)

RETRY_SECONDS = 0.5
LONGEST_RETRY_SECONDS = 2.0
"""What forbidden between asking and asking again: first, and when it has been in vain for a while."""

LOOK_SECONDS = 1.0

BEAT = "beat"
"""The event that only says that a stream is alive."""

GIVEN_UP = "GIVEN_UP"
"""It was refused because it came after the API had said that its outcome is unknown."""

_TERMINAL = frozenset({"CONFIRMED", "FAILED", "EXPIRED"})
_TOO_MANY = 429
_LATER = 1.5


@dataclass(frozen=True)
class Call:
    """What is asked of the API, under a name of its own if it is a command that has one.

    `content` goes instead of a body to whoever is sent no JSON. Neither is part of any text: a payment code is in one.
    """

    method: str
    path: str
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    content: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def key(self) -> str:
        """The name that it goes by, or nothing."""
        return self.headers.get("Idempotency-Key", "")

    def with_key(self) -> Call:
        """Return the same call under a new name."""
        return replace(self, headers={**self.headers, "Idempotency-Key": secrets.token_urlsafe(24)})


def call_of(method: str, path: str, body: Mapping[str, Any] | None = None, *, if_match: str | None = None) -> Call:
    """Return the call of an honest customer, who gives a name to everything that may be asked again under it."""
    call = Call(method, path, body, headers={"If-Match": if_match} if if_match else {})
    return call.with_key() if method in {"POST", "PUT"} else call


class Guest:
    """One customer's own way to the API.

    `uncertain_order_ids` are orders that may hold seats without a word about it; `failures` count what made the guest
    ask again.
    """

    def __init__(self, api: Api, pauses: Pauses) -> None:
        self.is_going_home = False
        self.is_kept_waiting = False
        self.uncertain_order_ids: set[str] = set()
        self.failures: Counter[str] = Counter()
        self._api = api
        self._pauses = pauses
        # By PUBLIC_URL the API marks its cookies Secure, also for a crowd that bypasses the proxy, over plain HTTP.
        self._cookies = httpx.Cookies()
        self._cookies.jar.set_policy(DefaultCookiePolicy(secure_protocols=("http", "https")))

    @property
    def cookie(self) -> str:
        """The cookie by which the API knows this guest, as it is sent; empty if it knows none."""
        return str(self._request(Call("GET", "/api/orders")).headers.get("Cookie", ""))

    async def send(
        self, act: Act, method: str, path: str, body: Mapping[str, Any] | None = None, *, if_match: str | None = None
    ) -> Reply:
        """Ask, again if need be, and return the yes.

        Raises:
            Refused: it was a no.
            Unreachable: nobody answers, or a server behind the API has been away for too long.
            ContractViolation: the API went on failing, or answered what it must not.
            CrowdStopped: all were told to go home while the API wanted to be left alone.
        """
        given_up_since = 0.0
        while True:
            try:
                # What was given up was not done: that is asked for anew, under another name.
                reply = await self.send_call(act, call_of(method, path, body, if_match=if_match))
            except Refused as refused:
                require_new(act, refused)
                if refused.code != GIVEN_UP:
                    raise
            else:
                require_new(act, reply)
                return reply
            given_up_since = given_up_since or monotonic()
            if monotonic() >= given_up_since + self._pauses.retry_seconds:
                raise ContractViolation(f"A {act} was given up, again and again.")
            self._note_failure(GIVEN_UP)
            await asyncio.sleep(RETRY_SECONDS)

    async def send_call(self, act: Act, call: Call) -> Reply:
        """Ask this, under this name, until it is answered, and return the yes.

        Raises:
            Refused: it was a no, `GIVEN_UP` among others.
            Unreachable: nobody answers, or a server behind the API has been away for too long.
            ContractViolation: the API went on failing, or answered what it must not.
            CrowdStopped: all were told to go home while the API wanted to be left alone.
        """
        unknown: set[str] = set()
        response, waited = await self.until_answered(f"A {act}", call, unknown if act is Act.HOLD else None)
        self.uncertain_order_ids -= unknown
        return read_reply(act, response, waited, call.key)

    async def until_answered(
        self, what: str, call: Call, unknown: set[str] | None = None, *, forgives_faults: bool = True
    ) -> tuple[httpx.Response, Waited]:
        """Return the first answer that is a yes or a no, and how long it was waited for.

        `unknown` takes the orders of which nobody said whether they hold seats. Only who `forgives_faults` asks again
        after a fault of the API's own, in the hope that it was one of a moment.

        Raises:
            Unreachable: nobody answers, or a server behind the API has been away for too long.
            ContractViolation: the API itself is at fault.
            CrowdStopped: all were told to go home while the API wanted to be left alone.
        """
        asked_at, failing_since, pause, tries = perf_counter(), 0.0, RETRY_SECONDS, 0
        self.is_kept_waiting = False
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
                    await self._leave_alone(_retry_after(response))
                    continue
                if not is_broken(response):
                    self.is_kept_waiting = False
                    return response, Waited(timing.seconds, perf_counter() - asked_at, tries)
                failure, name = _failure_of(what, response), _name_of(response)
                self._note_unknown(response, unknown)
            failing_since = failing_since or monotonic()
            self._note_failure(name)
            is_final = isinstance(failure, ContractViolation) and not forgives_faults
            if is_final or monotonic() >= failing_since + self._pauses.retry_seconds:
                raise failure
            await asyncio.sleep(pause)
            pause = min(pause * _LATER, LONGEST_RETRY_SECONDS)

    async def hang_up(self, call: Call, seconds: float) -> None:
        """Send this, and be gone so many seconds later, before the reply is read; not even its cookie is kept."""
        try:
            await self._api.send_and_hang_up(self._request(call), seconds)
        except httpx.TransportError as lost:
            self._note_failure(type(lost).__name__)

    async def await_end(self, order_id: str, see: Callable[[Mapping[str, Any]], None]) -> Mapping[str, Any]:
        """Follow the order until it has ended, and return its last status; `see` is shown every one, in their order.

        Raises:
            Unreachable: nobody answers.
            ContractViolation: the API went on failing, or answered what it must not.
        """
        while True:
            status = None if self._api.streams.locked() else await self._listen(order_id, see)
            if status is None:
                status = await self.status(order_id)
                see(status)
            if _has_ended(status):
                return status
            await asyncio.sleep(LOOK_SECONDS)

    async def status(self, order_id: str) -> Mapping[str, Any]:
        """Return where the order stands.

        Raises:
            Unreachable: nobody answers.
            ContractViolation: the API went on failing, or answered what it must not.
        """
        try:
            return (await self.send(Act.FOLLOW, "GET", f"/api/orders/{order_id}/status")).body
        except Refused as refused:
            raise ContractViolation(f"A look at an order of one's own was refused: {refused.code}.") from refused

    def take_failures(self) -> Counter[str]:
        """Return what made the guest ask again since this was last told."""
        failures, self.failures = self.failures, Counter()
        return failures

    def _note_failure(self, name: str) -> None:
        self.is_kept_waiting = True
        self.failures[name] += 1

    def _note_unknown(self, response: httpx.Response, unknown: set[str] | None) -> None:
        order_id = (body_of(response) or {}).get("orderId")
        if unknown is not None and isinstance(order_id, str):
            unknown.add(order_id)
            self.uncertain_order_ids.add(order_id)

    async def _leave_alone(self, seconds: float) -> None:
        self._note_failure(f"{_TOO_MANY} RATE_LIMITED")
        await (asyncio.sleep(seconds) if self.is_going_home else self._pauses.wait(seconds))

    async def _listen(self, order_id: str, see: Callable[[Mapping[str, Any]], None]) -> Mapping[str, Any] | None:
        """Return the last that an order's stream told, or None if it told nothing; why, a look at the status says."""
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
                                see(status)
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
    """Yield the events of a stream, beats among them, as long as they come often enough.

    Raises:
        httpx.ReadTimeout: after the first beat there was no event for too long; a proxy may still send comments.
    """
    heard_at, has_beats = monotonic(), False
    async for event in events:
        if event.data:
            heard_at, has_beats = monotonic(), has_beats or event.event == BEAT
            yield event
        elif has_beats and monotonic() > heard_at + SILENCE_SECONDS:
            raise httpx.ReadTimeout("the stream is silent")


def _has_ended(status: Mapping[str, Any]) -> bool:
    """Say whether this is the last status of its order."""
    return status.get("status") in _TERMINAL


def _failure_of(what: str, response: httpx.Response) -> Unreachable | ContractViolation:
    """Return what an answer that is none comes to if it goes on."""
    if is_away(response):
        return Unreachable(described(response))
    return ContractViolation(f"{what} was answered {described(response)}.")


def _name_of(response: httpx.Response) -> str:
    return f"{response.status_code} {code_of(response)}".rstrip()


def _retry_after(response: httpx.Response) -> float:
    """Return for how long the API asks to be left alone: a second, if it does not say."""
    told = response.headers.get("Retry-After", "")
    return float(told) if told.isdecimal() else 1.0
