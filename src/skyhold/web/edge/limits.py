"""Rate limits of guests and addresses: fixed windows, counted in Redis for all processes together.

A window begins with the first request and ends as a whole, so `Retry-After` is reliable, and a counter is one small
number whatever the limit; at the boundary of two windows a caller may get twice the rate. Redis stores only keyed
hashes, and deletes them with the window. Each process also counts for itself, in bounded memory: so a flood is rejected
without a request to Redis, and while Redis is unavailable or slow, each process applies the limit by itself.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from ipaddress import IPv6Address, ip_address, ip_network

import structlog
from fastapi import Request
from limits import RateLimitItem, parse
from limits.aio.storage import Storage
from limits.errors import StorageError
from starlette.types import ASGIApp, Receive, Scope, Send

from skyhold.redis_clients import refusal_of
from skyhold.resilience.circuit_breaker import CircuitBreaker
from skyhold.web.errors import RateLimited
from skyhold.web.identity import GuestCookies
from skyhold.web.pages.page_problems import page_or_problem
from skyhold.web.problems import problem_of_refusal
from skyhold.web.signing import Signer

GUESTS_AT_AN_ADDRESS = 100
"""An address has the limit of this many guests: offices and mobile networks share one."""

WAIT_SECONDS = 0.2
"""Longest wait of a request for Redis; while Redis is unavailable, only one request a second tries it."""

PAUSE_SECONDS = 1.0

LOCAL_COUNTERS = 20_000
"""Maximum number of counters in a process; beyond it the oldest are dropped."""

_LIMITED = ("/api/", "/flights/", "/orders/")

_log = structlog.get_logger(__name__)


class LocalCounters:
    """Fixed windows counted in this process, for a bounded number of names."""

    def __init__(self, *, room: int = LOCAL_COUNTERS, clock: Callable[[], float] = time.monotonic) -> None:
        self._room = room
        self._clock = clock
        self._windows: dict[str, tuple[int, float]] = {}

    def __len__(self) -> int:
        return len(self._windows)

    def hit(self, name: str, limit: RateLimitItem) -> float:
        """Count a request and return the seconds to wait; 0 if it is within the limit."""
        now = self._clock()
        count, ends_at = self._windows.get(name, (0, now))
        if ends_at <= now:
            # Removed and inserted again: the windows stay in the order in which they began, and end.
            self._windows.pop(name, None)
            count, ends_at = 0, now + limit.get_expiry()
        self._windows[name] = count + 1, ends_at
        if len(self._windows) > self._room:
            del self._windows[next(iter(self._windows))]
        if count < limit.amount:
            return 0.0
        # Redis counts in whole seconds, and may begin its window a moment later: one more second is always enough.
        return min(ends_at - now + 1.0, limit.get_expiry())


class RateLimits:
    """The limits of one rate: of a guest, and a hundred times that of an address."""

    def __init__(self, rate: str, storage: Storage, signer: Signer, cookies: GuestCookies) -> None:
        per_guest = parse(rate)
        self._limits: Mapping[str, RateLimitItem] = {
            "guest": per_guest,
            "address": type(per_guest)(per_guest.amount * GUESTS_AT_AN_ADDRESS, per_guest.multiples),
        }
        self._storage = storage
        self._signer = signer
        self._cookies = cookies
        self._local = LocalCounters()
        self._breaker = CircuitBreaker(PAUSE_SECONDS)
        self.is_refused = False
        """True if Redis answered but refused to count the last requests."""

    @property
    def is_away(self) -> bool:
        """True while requests cannot be counted in Redis."""
        return self._breaker.is_open

    async def seconds_to_wait(self, request: Request) -> int:
        """Count the request and return the whole seconds to wait; 0 if it is within the limits."""
        guest = self._cookies.recognise_at_once(request).guest
        names = {"address": self._name("address", address_of(request))}
        names |= {"guest": self._name("guest", guest.id)} if guest else {}
        # A limit that is exceeded in this process alone is exceeded in all processes together.
        waits = [self._local.hit(name, self._limits[kind]) for kind, name in names.items()]
        if not any(waits):
            waits = await self._hit_shared(names)
        return math.ceil(max(waits))

    def _name(self, kind: str, caller: str) -> str:
        return f"{kind}:{self._signer.text('rate limit', kind, caller)}"

    async def _hit_shared(self, names: Mapping[str, str]) -> list[float]:
        """Count in Redis, all counters at once, and return the seconds to wait for each; 0 while it is unavailable."""
        if not self._breaker.lets_through():
            return [0.0]
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                waits = await asyncio.gather(*(self._hit(name, self._limits[kind]) for kind, name in names.items()))
        except (StorageError, OSError, TimeoutError) as error:
            self._mark_away(error)
            return [0.0]
        if self._breaker.succeed():
            self.is_refused = False
            _log.info("Redis available again; requests are counted for all processes together")
        return waits

    async def _hit(self, name: str, limit: RateLimitItem) -> float:
        key, seconds = limit.key_for(name), limit.get_expiry()
        if await self._storage.incr(key, seconds) <= limit.amount:
            return 0.0
        # Redis rounds to the nearest second: one more second is always enough, and the whole window is the maximum.
        left = round(await self._storage.get_expiry(key) - time.time())
        return min(max(left, 0) + 1, seconds)

    def has_failed_within(self, seconds: float) -> bool:
        """Return whether counting in Redis failed within the last `seconds`."""
        return time.monotonic() - self._breaker.failed_at < seconds

    def _mark_away(self, error: Exception) -> None:
        cause = error.storage_error if isinstance(error, StorageError) else error
        refusal = refusal_of(cause)
        self.is_refused = refusal is not None
        if self._breaker.fail():
            reason = refusal or type(cause).__name__
            _log.warning("Redis cannot count requests; each process counts by itself", error=reason)


class LimitedRequests:
    """Middleware that rejects requests for `/api/` and for pages beyond the limits, before their bodies are read."""

    def __init__(self, app: ASGIApp, limits: RateLimits) -> None:
        self.app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and (scope["path"] == "/" or scope["path"].startswith(_LIMITED)):
            request = Request(scope)
            seconds = await self._limits.seconds_to_wait(request)
            if seconds:
                error = RateLimited(seconds)
                refusal = page_or_problem(request, error, problem_of_refusal(request.state.request_id, error))
                await refusal(scope, receive, send)
                return
        await self.app(scope, receive, send)


def address_of(request: Request) -> str:
    """Return the address of the client; for IPv6 its network of 64 bits, in which one client has every address."""
    host = request.client.host if request.client else ""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return str(address)
    return str(address.ipv4_mapped or ip_network((address, 64), strict=False))
