"""Live events of one API process: one reader of the feed for all listeners, and comparing, which finds lost events.

Owns when PostgreSQL is compared, how many streams there are, and their end. The watches decide which events a listener
gets.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection
from contextvars import Context
from datetime import datetime
from typing import Protocol

import structlog

from skyhold.domain.errors import DatabaseUnavailable
from skyhold.events.changes import Change
from skyhold.events.feed import Batch, FeedAway
from skyhold.resilience.backoff import Backoff
from skyhold.web.clocks import LedgerClock
from skyhold.web.errors import RateLimited
from skyhold.web.live.flights import LiveFlights
from skyhold.web.live.orders import LiveOrders
from skyhold.web.live.stream import EventStream, Listener, beat
from skyhold.web.schemas import BeatBody

STREAMS_LIMIT = 5_000
"""Maximum number of open streams of one process."""

RETRY_AFTER_SECONDS = 5

RESYNC_SECONDS = 15.0
RESYNC_SECONDS_WITHOUT_FEED = 2.0
"""Interval of comparing with PostgreSQL, and the interval while Redis or PostgreSQL itself is unavailable."""

BEAT_SECONDS = 15.0
"""Interval of the beat of every stream. A stream without any event for three times as long is dead for its client."""

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
"""Seconds between two attempts to read the feed, growing."""

CLOSING_SECONDS = 0.25
"""Time that readers have to receive queued frames when the process ends."""

CANCELS_LIMIT = 10

ReadClock = Callable[[], Awaitable[datetime]]

_log = structlog.get_logger(__name__)


class Feed(Protocol):
    """The source of published changes."""

    async def read(self) -> Batch:
        """Wait a moment for changes.

        Raises:
            FeedAway: the feed cannot be read.
        """


class Live:
    """All streams of this process."""

    def __init__(self, feed: Feed, flights: LiveFlights, orders: LiveOrders, read_clock: ReadClock) -> None:
        self.flights = flights
        self.orders = orders
        self._feed = feed
        self._read_clock = read_clock
        self._clock: LedgerClock | None = None
        self._listeners: set[Listener] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._is_closed = False
        self._is_alone = False
        self._is_behind = False
        self._due: set[str] = set()
        self._compare_now = asyncio.Event()

    def stream(self, enter: Callable[[], Listener], leave: Callable[[Listener], None]) -> EventStream:
        """Return a reply to a new listener, which is created when the reply begins.

        Raises:
            RateLimited: the process has its maximum of open streams.
        """
        if len(self._listeners) >= STREAMS_LIMIT:
            raise RateLimited(RETRY_AFTER_SECONDS)
        self._start()

        def enter_here() -> Listener:
            listener = enter()
            self._listeners.add(listener)
            if self._is_closed:
                listener.end()
            return listener

        def leave_here(listener: Listener) -> None:
            self._listeners.discard(listener)
            leave(listener)

        return EventStream(enter_here, leave_here)

    @property
    def is_feed_down(self) -> bool:
        """True if the last read of the feed failed; false while there are no listeners."""
        return self._is_alone

    async def close(self) -> None:
        """End every stream at once, also those whose readers have stopped reading."""
        self._is_closed = True
        ending = asyncio.get_running_loop().create_task(_end(self._tasks))
        listeners = tuple(self._listeners)
        for listener in listeners:
            listener.end()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_SECONDS):
                for listener in listeners:
                    await listener.is_done.wait()
        for listener in listeners:
            if listener.is_stuck():
                listener.cut_off()
        await ending
        self.flights.close()
        self.orders.close()

    def _start(self) -> None:
        if not self._tasks and not self._is_closed:
            work = (self._follow, self._compare, self._beat)
            loop = asyncio.get_running_loop()
            # In a context of their own: they serve all listeners, so their log lines have no request id.
            self._tasks = [loop.create_task(self._go_on(turn), context=Context()) for turn in work]

    async def _follow(self) -> None:
        """Apply the changes of the feed; after a failed read pause with a growing backoff.

        The first read after a failure only finds the end of the stream. It may succeed although later reads are
        refused, so the feed counts as available from the second one on.
        """
        backoff, is_opening = Backoff(FIRST_PAUSE, LONGEST_PAUSE), True
        while True:
            try:
                self._take(await self._feed.read())
                if not is_opening:
                    self._note(is_without_feed=False)
                    backoff.reset()
                is_opening = False
            except FeedAway as away:
                is_opening = True
                self._note(is_without_feed=True, reason=str(away))
                await asyncio.sleep(backoff.next())

    def _take(self, batch: Batch) -> None:
        if batch.has_gap:
            self._is_behind = True
            self._compare_now.set()
        for change in batch.changes:
            self._apply(change)

    def _apply(self, change: Change) -> None:
        self.orders.apply(change)
        if not self.flights.apply(change):
            self._due.add(change.flight_id or "")
            self._compare_now.set()

    async def _compare(self) -> None:
        """Compare flights and orders with PostgreSQL, at intervals and when an event may have been lost."""
        loop = asyncio.get_running_loop()
        compared_at, is_answered = loop.time(), True
        while True:
            patience = RESYNC_SECONDS if is_answered and not self._is_alone else RESYNC_SECONDS_WITHOUT_FEED
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(compared_at + patience):
                    await self._compare_now.wait()
            self._compare_now.clear()
            due, self._due = self._due, set()
            try:
                if self._is_behind or loop.time() >= compared_at + patience:
                    self._is_behind, compared_at = False, loop.time()
                    await self._compare_all()
                else:
                    await self.flights.resync(due)
                is_answered = True
            except DatabaseUnavailable:
                is_answered = False

    async def _compare_all(self) -> None:
        self.flights.forget_idle()
        await self.orders.resync()
        await self.flights.resync()

    async def _beat(self) -> None:
        """Send a beat on every stream at this interval, so that proxies keep it open and clients can detect silence."""
        await self._set_clock()
        while True:
            # The clock is read during the wait, so a late or missing answer delays no beat.
            await asyncio.gather(asyncio.sleep(BEAT_SECONDS), self._set_clock())
            if self._listeners and self._clock is not None:
                body = BeatBody(server_time=self._clock.now())
                encoded = beat(body.model_dump_json(by_alias=True))
                for listener in self._listeners:
                    listener.offer(encoded)

    async def _set_clock(self) -> None:
        """Read PostgreSQL's clock; while it is unavailable, the last reading is extrapolated."""
        with contextlib.suppress(DatabaseUnavailable):
            self._clock = LedgerClock(await self._read_clock())

    async def _go_on(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run work that never ends; after a fault log it, pause, compare everything and start the work again."""
        while True:
            try:
                await work()
            except Exception:  # noqa: BLE001 - no fault may leave the listeners behind
                _log.exception("live event task failed, restarting")
            await asyncio.sleep(LONGEST_PAUSE)
            self._is_behind = True
            self._compare_now.set()

    def _note(self, *, is_without_feed: bool, reason: str = "") -> None:
        if is_without_feed == self._is_alone:
            return
        self._is_alone = is_without_feed
        self._compare_now.set()
        if is_without_feed:
            self._is_behind = True
            _log.warning("Redis sends no live events; comparing with PostgreSQL instead", reason=reason)
        else:
            _log.info("Redis sends live events again")


async def _end(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancel these tasks. Before Python 3.12 a cancel can get lost in `asyncio.wait_for`, so it is repeated."""
    for _ in range(CANCELS_LIMIT):
        waiting = {task for task in tasks if not task.done()}
        if not waiting:
            return
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting, timeout=0.1)
