"""Seat locks as Redis has them: their names, and reads, which change and extend no lock."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from redis.asyncio import Redis
from redis.client import NEVER_DECODE
from redis.exceptions import RedisError

from skyhold.domain.orders import is_order_id
from skyhold.domain.seats import SeatKey

BATCH = 500
"""Number of locks read in one round trip."""

_PREFIX = "seat:lock:"
_NAME = re.compile(r"seat:lock:\{([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\}:([1-9][0-9]?[A-HJK])")

_GONE, _ENDLESS = -2, -1
"""Redis's replies for the TTL of a missing key, and of a key without a TTL."""


def lock_name(seat: SeatKey) -> str:
    """Return the lock's key; the braces are Redis's hash tag, which keeps a flight's locks on one node of a cluster."""
    return f"{_PREFIX}{{{seat.flight_id}}}:{seat.seat_id}"


@dataclass(frozen=True)
class SeatLock:
    """A lock as it was read; parts that its name or its value does not contain in valid form are None.

    Another user of the same Redis may have keys of any name: in `name`, bytes that are no text are escaped.
    """

    name: str
    seat: SeatKey | None
    owner: str | None
    has_ttl: bool


async def scan_locks(redis: Redis) -> AsyncIterator[list[SeatLock]]:
    """Yield all locks in batches; one that is set or deleted meanwhile may be missing, another may appear twice.

    Raises:
        RedisError, OSError, TimeoutError: Redis does not answer, or refuses.
    """
    cursor = 0
    while True:
        ask = ("SCAN", cursor, "MATCH", f"{_PREFIX}*", "COUNT", BATCH)
        cursor, names = await cast("Any", redis).execute_command(*ask, **{NEVER_DECODE: True})
        if names:
            yield await read_locks(redis, names)
        if not int(cursor):
            return


async def read_locks(redis: Redis, names: Sequence[bytes]) -> list[SeatLock]:
    """Return those of these locks that exist.

    Raises:
        RedisError, OSError, TimeoutError: Redis does not answer, or refuses.
    """
    pipeline = redis.pipeline(transaction=False)
    for name in names:
        pipeline.execute_command("GET", name, **{NEVER_DECODE: True})
        pipeline.pttl(cast("str", name))
    replies = await pipeline.execute(raise_on_error=False)
    found = zip(names, replies[::2], replies[1::2], strict=True)
    return [_lock_of(name, value, life) for name, value, life in found if value is not None and life != _GONE]


def _lock_of(name: bytes, value: object, life: object) -> SeatLock:
    if isinstance(life, RedisError):
        raise life
    text = name.decode(errors="backslashreplace")
    match = _NAME.fullmatch(text)
    seat = SeatKey(match[1], match[2]) if match else None
    return SeatLock(text, seat, _owner_of(value), has_ttl=life != _ENDLESS)


def _owner_of(value: object) -> str | None:
    # For a key that does not hold a string, the value is Redis's error, not bytes.
    if not isinstance(value, bytes):
        return None
    with contextlib.suppress(UnicodeDecodeError):
        owner = value.decode()
        return owner if is_order_id(owner) else None
    return None
