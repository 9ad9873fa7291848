"""The stream of events in Redis: many processes publish changes to it, and many read them.

One stream for everything: a process reads it once, for any number of listeners. It is a hint, as the seat locks are: a
lost event (Redis unavailable, a process killed between commit and publishing, a reader too slow) is found by comparing
with PostgreSQL, and `Batch.has_gap` means that this is due at once.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Awaitable
from contextvars import Context
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, cast

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from skyhold.events.changes import Change
from skyhold.redis_clients import refusal_of, retry
from skyhold.resilience.backoff import Backoff

STREAM = "{skyhold}:events"
EPOCH = "{skyhold}:events:epoch"

STREAM_LENGTH = 5_000
"""Approximate number of entries kept; a reader that is further behind compares with PostgreSQL instead."""

BACKLOG_LIMIT = 1_000
"""Maximum number of changes that wait while Redis is slow or unavailable; beyond it the oldest are dropped."""

BATCH_LIMIT = 200
"""Maximum number of changes that are published, or read, in one call."""

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
"""Backoff in seconds between attempts to publish while Redis is unavailable."""

CLOSING_SECONDS = 1.0

READ_SECONDS = 1.0
"""Time that Redis blocks a read without changes; a Redis that hangs is detected after this plus the socket timeout."""

SOCKET_TIMEOUT = 1.0

_AWAY = (RedisError, OSError, TimeoutError)

_log = structlog.get_logger(__name__)


class FeedAway(Exception):
    """Redis does not answer, or refuses; the message is the reason. No changes arrive until it works again."""


@dataclass(frozen=True)
class Batch:
    """Changes in the order of publication; with `has_gap` others may be missing before or between them."""

    changes: tuple[Change, ...] = ()
    has_gap: bool = False


class Publisher:
    """Publishes changes in the background, in order, from a bounded backlog; a failed batch is retried."""

    def __init__(self, redis: Redis) -> None:
        self._append = redis.register_script(_append_script())
        self._backlog: deque[Change] = deque()
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False
        self._is_away = False

    def publish(self, change: Change) -> None:
        """Queue the change for publication; return at once and never fail, whatever Redis does."""
        if self._is_closed:
            return
        self._backlog.append(change)
        self._drop_oldest()
        if self._task is None or self._task.done():
            # In a context of its own: it publishes the changes of other callers, too.
            self._task = asyncio.get_running_loop().create_task(self._drain(), context=Context())

    async def aclose(self) -> None:
        """Publish the backlog, unless Redis is unavailable or too slow, and stop."""
        self._is_closed = True
        if self._task is None:
            return
        if not self._is_away:
            await asyncio.wait({self._task}, timeout=CLOSING_SECONDS)
        self._task.cancel()
        await asyncio.wait({self._task}, timeout=CLOSING_SECONDS)

    async def _drain(self) -> None:
        """Publish until the backlog is empty. While Redis is unavailable, retry with backoff."""
        backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        while self._backlog:
            batch = [self._backlog.popleft() for _ in range(min(BATCH_LIMIT, len(self._backlog)))]
            try:
                await _end_of_stream(self._append, batch)
            except _AWAY as error:
                # Redis may have stored some of them. Publishing twice is harmless: readers compare versions.
                self._backlog.extendleft(reversed(batch))
                self._drop_oldest()
                self._note_away(error)
                if self._is_closed:
                    return
                await asyncio.sleep(backoff.next())
            else:
                backoff.reset()
                self._note_back()

    def _drop_oldest(self) -> None:
        while len(self._backlog) > BACKLOG_LIMIT:
            self._backlog.popleft()

    def _note_away(self, error: Exception) -> None:
        if not self._is_away:
            self._is_away = True
            reason = refusal_of(error) or type(error).__name__
            _log.warning("live events cannot be published to Redis; retrying", reason=reason)

    def _note_back(self) -> None:
        if self._is_away:
            self._is_away = False
            _log.info("live events are published again")


class Reader:
    """Reads the stream from its end on; one per process is enough for any number of listeners."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._append = redis.register_script(_append_script())
        self._epoch = ""
        self._position: str | None = None

    async def read(self) -> Batch:
        """Wait for changes, for a second at most, and return those that arrived.

        The first batch, also after an outage of Redis, is empty and has a gap; from there on no change is missed.

        Raises:
            FeedAway: Redis does not answer, or refuses.
        """
        try:
            if self._position is None:
                return await self._open()
            streams = await cast(
                "Awaitable[Any]",
                self._redis.xread({STREAM: self._position}, count=BATCH_LIMIT, block=int(READ_SECONDS * 1000)),
            )
            if not streams:
                return await self._look()
            entries = _entries_of(streams)
            # Only a reader with a full batch can be behind the trimmed entries.
            is_behind = len(entries) >= BATCH_LIMIT and await self._is_trimmed_beyond(self._position)
            return self._take(entries, has_gap=is_behind)
        except _AWAY as error:
            self._position = None
            raise FeedAway(refusal_of(error) or "no answer") from error

    async def _open(self) -> Batch:
        self._epoch, self._position = await _end_of_stream(self._append)
        return Batch(has_gap=True)

    async def _is_trimmed_beyond(self, position: str) -> bool:
        """Return whether the stream begins after this entry, the last one read, so that later ones may be gone."""
        oldest = await cast("Awaitable[Any]", self._redis.xrange(STREAM, count=1))
        return not oldest or _number_of(oldest[0][0]) > _number_of(position)

    def _take(self, entries: list[tuple[str, dict[str, str]]], *, has_gap: bool) -> Batch:
        has_gap = has_gap or any(fields.get("epoch") != self._epoch for _, fields in entries)
        self._position, last = entries[-1]
        self._epoch = last.get("epoch", "")
        changes = [Change.from_json(fields["change"]) for _, fields in entries if "change" in fields]
        return Batch(tuple(change for change in changes if change is not None), has_gap)

    async def _look(self) -> Batch:
        """Handle a read without entries: nothing changed, or the stream was lost and restarted with lower ids."""
        epoch, last = await _end_of_stream(self._append)
        if (epoch, last) == (self._epoch, self._position):
            return Batch()
        if epoch == self._epoch and _number_of(last) > _number_of(self._position or "0-0"):
            return Batch()  # An entry was added just now: the next read returns it.
        self._epoch, self._position = epoch, last
        return Batch(has_gap=True)


def open_reader_redis(url: str) -> Redis:
    """Return a client for a `Reader`: its timeout covers a blocking read, and it leaves retries to the reader."""
    return Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=READ_SECONDS + SOCKET_TIMEOUT,
        socket_connect_timeout=SOCKET_TIMEOUT,
        retry=retry(0),
    )


async def _end_of_stream(append: Any, changes: list[Change] | None = None) -> tuple[str, str]:
    arguments = [secrets.token_hex(4), STREAM_LENGTH, *(change.to_json() for change in changes or ())]
    epoch, last = await cast("Awaitable[Any]", append(keys=[STREAM, EPOCH], args=arguments))
    return str(epoch), str(last)


def _append_script() -> str:
    return files("skyhold.events").joinpath("append.lua").read_text()


def _entries_of(streams: Any) -> list[tuple[str, dict[str, str]]]:
    """Return the entries of the one requested stream, for both versions of the protocol."""
    named = streams.items() if isinstance(streams, dict) else streams
    ((_, entries),) = named
    # Version 3 of the protocol nests them once more.
    return entries[0] if entries and isinstance(entries[0], list) else entries


def _number_of(entry_id: str) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds), int(number)
