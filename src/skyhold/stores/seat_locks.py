"""Seat locks in Redis: their only purpose is to keep losers of a contended seat off PostgreSQL's row locks.

A refusal is a hint that PostgreSQL confirms. If Redis is unavailable, or answers and refuses to write, booking
continues and only losers wait longer; it is logged once when that begins and once when it is over.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from datetime import timedelta
from functools import partial
from importlib.resources import files
from typing import Any, cast

import structlog
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from skyhold.domain.seats import LockAttempt, SeatKey
from skyhold.readers.seat_locks import SeatLock, lock_name, read_locks, scan_locks
from skyhold.redis_clients import refusal_of, retry
from skyhold.resilience.circuit_breaker import CircuitBreaker

SOCKET_TIMEOUT = 0.5

PAUSE_SECONDS = 1.0
"""Pause after Redis did not answer: an outage costs one timeout a second, not one per call."""

_log = structlog.get_logger(__name__)


def open_redis(url: str) -> Redis:
    """Return a client whose calls end within a second; a call broken by a restart or a failover is retried once."""
    return Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=SOCKET_TIMEOUT,
        socket_connect_timeout=SOCKET_TIMEOUT,
        retry=retry(1),
    )


class SeatLocks:
    """The locks of seats, each with its order's id as the value and a time to live."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._acquire, self._assign, self._extend, self._release = (
            redis.register_script(files("skyhold.stores").joinpath("lua", f"{name}.lua").read_text())
            for name in ("acquire", "assign", "extend", "release")
        )
        self.breaker = CircuitBreaker(PAUSE_SECONDS)
        self._refused: str | None = None

    @property
    def is_away(self) -> bool:
        """True while Redis is unavailable."""
        return self.breaker.is_open

    async def acquire(self, seats: Iterable[SeatKey], order_id: str, ttl: timedelta) -> LockAttempt:
        """Lock all the seats for the order or none; without Redis nothing is locked and nothing contended."""
        seat_of = {lock_name(seat): seat for seat in seats}
        keys = list(seat_of)
        reply = await self._ask(
            "acquire", lambda: self._acquire(keys=keys, args=[order_id, _milliseconds(ttl)]), empty=not keys
        )
        if reply is None:
            return LockAttempt()
        won, *names = reply
        return (
            LockAttempt(fresh=frozenset(seat_of[name] for name in names))
            if won
            else LockAttempt(others=frozenset(names))
        )

    async def assign(self, seats: Iterable[SeatKey], order_id: str, ttl: timedelta, *, others: Iterable[str]) -> None:
        """Assign the locks of the `others` to this order: PostgreSQL gave it the seats, so their locks were wrong."""
        keys = [lock_name(seat) for seat in seats]
        await self._ask(
            "assign", lambda: self._assign(keys=keys, args=[order_id, _milliseconds(ttl), *others]), empty=not keys
        )

    async def extend(self, seats: Iterable[SeatKey], order_id: str, ttl: timedelta) -> None:
        """Extend the order's locks to at least this TTL."""
        keys = [lock_name(seat) for seat in seats]
        ask = partial(self._extend, keys=keys, args=[order_id, _milliseconds(ttl)])
        await self._ask("extend", ask, empty=not keys)

    async def release(self, seats: Iterable[SeatKey], order_id: str) -> None:
        """Remove the order's locks."""
        keys = [lock_name(seat) for seat in seats]
        await self._ask("release", partial(self._release, keys=keys, args=[order_id]), empty=not keys)

    async def find_all(self) -> dict[SeatKey, SeatLock] | None:
        """Return every lock by its seat, by a scan, not a snapshot; None if Redis does not answer.

        Keys whose name only resembles that of a lock are left out.
        """
        return cast("dict[SeatKey, SeatLock] | None", await self._ask("find", self._find_all, empty=False))

    async def look(self, seat: SeatKey) -> list[SeatLock] | None:
        """Return the seat's lock, if there is one; None if Redis does not answer."""
        name = lock_name(seat).encode()
        return cast(
            "list[SeatLock] | None", await self._ask("read", lambda: read_locks(self._redis, [name]), empty=False)
        )

    async def _find_all(self) -> dict[SeatKey, SeatLock]:
        locks = [lock async for batch in scan_locks(self._redis) for lock in batch]
        return {lock.seat: lock for lock in locks if lock.seat is not None}

    async def _ask(self, name: str, call: Any, *, empty: bool) -> Any:
        """Return Redis's reply, or None if the call is `empty`, or Redis is unavailable or refuses."""
        if empty or not self.breaker.lets_through():
            return None
        try:
            reply = await cast("Awaitable[Any]", call())
        except (RedisError, OSError, TimeoutError) as error:
            reason = refusal_of(error)
            if reason and not isinstance(error, RedisConnectionError):
                self._note_refusal(name, reason)
            else:
                self._note_away(error)
            return None
        self._note_success(name)
        return reply

    def _note_away(self, error: Exception) -> None:
        if self.breaker.fail():
            reason = refusal_of(error) or type(error).__name__
            _log.warning("Redis unavailable; continuing without seat locks", error=reason)

    def _note_refusal(self, name: str, reason: str) -> None:
        """Redis answers, so a call costs no timeout and there is no pause: calls that it accepts still work."""
        self.breaker.succeed()
        if self._refused is None:
            self._refused = name
            _log.warning("Redis refuses to write; continuing without seat locks", call=name, reason=reason)

    def _note_success(self, name: str) -> None:
        # Without memory a lock can be released but not acquired; a successful acquire proves all other calls.
        is_granted = self._refused is not None and name in {self._refused, "acquire"}
        if self.breaker.succeed() or is_granted:
            _log.info("Redis available again; locking seats")
        if is_granted:
            self._refused = None


def _milliseconds(ttl: timedelta) -> int:
    return max(1, int(ttl.total_seconds() * 1000))
