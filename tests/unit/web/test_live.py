"""The hub over a scripted feed: the request ids of its log lines, and the effect of a fault."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
import structlog
from structlog.testing import capture_logs

from skyhold.domain.errors import DatabaseUnavailable
from skyhold.domain.seats import SeatKey, SeatState, SeatStatus
from skyhold.events.changes import Change
from skyhold.events.feed import Batch, FeedAway
from skyhold.web.live import flights as live_flights
from skyhold.web.live import watches as live_module
from skyhold.web.live.flights import FlightWatch, LiveFlights
from skyhold.web.live.orders import LiveOrders
from skyhold.web.live.watches import Live
from support.bookings import until

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FLIGHT = "550e8400-e29b-41d4-a716-446655440001"


class ScriptedFeed:
    """Yields the scripted changes, and then nothing."""

    def __init__(self) -> None:
        self.batches: asyncio.Queue[Batch | Exception] = asyncio.Queue()
        self.contexts: list[dict[str, Any]] = []

    async def read(self) -> Batch:
        self.contexts.append(structlog.contextvars.get_contextvars())
        batch = await self.batches.get()
        if isinstance(batch, Exception):
            raise batch
        return batch


class Ledger:
    """The state of every seat, or none if there is no such flight."""

    def __init__(self) -> None:
        self.seats: list[SeatState] | None = [SeatState(SeatKey(FLIGHT, "12A"), SeatStatus.AVAILABLE, 1, 35000)]
        self.now: datetime | None = NOW
        self.clock_seconds = 0.0
        """Seconds until it returns the time."""

    async def seat_states(self, _: str) -> list[SeatState] | None:
        return self.seats

    async def find(self, _: str) -> None:
        return None

    async def clock(self) -> datetime:
        await asyncio.sleep(self.clock_seconds)
        if self.now is None:
            raise DatabaseUnavailable
        return self.now

    async def change_times(self, _: Any) -> dict[str, Any]:
        return {}


@pytest.fixture
def feed() -> ScriptedFeed:
    return ScriptedFeed()


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
async def live(feed: ScriptedFeed, ledger: Ledger) -> AsyncIterator[Live]:
    live = Live(feed, LiveFlights(ledger.seat_states), LiveOrders(ledger.find, ledger.change_times), ledger.clock)
    yield live
    await live.close()


async def _start(live: Live) -> None:
    """Start it as the first request does."""
    watch = await live.flights.watch(FLIGHT)
    with structlog.contextvars.bound_contextvars(request_id="the-first-request"):
        live.stream(lambda: watch.join(None), watch.leave)
    await asyncio.sleep(0)


async def test_what_serves_everybody_does_not_speak_for_the_first_request(live: Live, feed: ScriptedFeed) -> None:
    await _start(live)
    assert feed.contexts == [{}]


async def test_a_fault_is_told_once_and_hearing_goes_on(
    live: Live, feed: ScriptedFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "LONGEST_PAUSE", 0.0)
    with capture_logs() as logged:
        await _start(live)
        listener = (await live.flights.watch(FLIGHT)).join(None)
        await listener.take()
        feed.batches.put_nowait(RuntimeError("a fault of ours"))
        feed.batches.put_nowait(
            Batch((Change("an-order", FLIGHT, (SeatState(SeatKey(FLIGHT, "12A"), SeatStatus.BOOKED, 2, 35000),)),))
        )
        assert b'"booked"' in await asyncio.wait_for(listener.take(), 5)
    assert [line["event"] for line in logged if line["log_level"] == "error"] == ["live event task failed, restarting"]


async def test_what_a_fault_kept_from_being_heard_is_found_by_comparing(
    live: Live, feed: ScriptedFeed, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "LONGEST_PAUSE", 0.0)
    await _start(live)
    listener = (await live.flights.watch(FLIGHT)).join(None)
    await listener.take()
    ledger.seats = [SeatState(SeatKey(FLIGHT, "12A"), SeatStatus.BOOKED, 2, 35000)]
    told = Change("an-order", FLIGHT, tuple(ledger.seats))
    feed.batches.put_nowait(Batch((Change("an-order", cast("Any", ["no flight"]), ()), told)))
    assert b'"booked"' in await asyncio.wait_for(listener.take(), 5)


async def test_a_flight_that_is_gone_keeps_no_other_from_being_compared(live: Live, ledger: Ledger) -> None:
    listener = (await live.flights.watch(FLIGHT)).join(None)
    ledger.seats = None
    await live.flights.resync()
    assert listener.is_ended
    assert live.flights._watches == {}


async def test_who_joins_a_flight_that_was_forgotten_on_the_way_is_sent_back_for_another_watch(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listener of a forgotten watch would never get an event."""
    monkeypatch.setattr(live_flights, "IDLE_LIMIT", 0)
    watch = await live.flights.watch(FLIGHT)
    live.flights.forget_idle()
    listener = watch.join(None)
    assert b"snapshot" in await listener.take()
    assert await asyncio.wait_for(listener.take(), 5) == b""


async def test_to_forget_a_watch_leaves_a_later_one_of_its_flight_alone(live: Live, ledger: Ledger) -> None:
    """Several callers wait for a first read that fails, and each of them forgets the watch then."""
    failed = FlightWatch(FLIGHT, ledger.seat_states)
    watch = await live.flights.watch(FLIGHT)
    live.flights._forget(failed)
    assert live.flights._watches == {FLIGHT: watch}


async def test_a_stream_that_begins_after_the_end_ends_at_once(live: Live) -> None:
    await live.close()
    watch = await live.flights.watch(FLIGHT)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    stream = live.stream(lambda: watch.join(None), watch.leave)
    await asyncio.wait_for(stream({"type": "http"}, asyncio.Event().wait, send), 5)  # type: ignore[arg-type]
    assert sent[-1]["more_body"] is False


async def _beats(live: Live, count: int) -> list[datetime]:
    """Return the server times of this many beats."""
    watch = await live.flights.watch(FLIGHT)
    listener = watch.join(None)
    await listener.take()
    live._listeners.add(listener)
    told: list[datetime] = []
    async with asyncio.timeout(20):
        while len(told) < count:
            for frame in (await listener.take()).decode().split("\n\n")[:-1]:
                name, data = frame.split("\n")
                assert name == "event: beat"
                told.append(datetime.fromisoformat(json.loads(data.removeprefix("data: "))["serverTime"]))
    return told


async def test_every_stream_beats_with_the_ledgers_time_and_without_an_id(
    live: Live, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "BEAT_SECONDS", 0.01)
    await _start(live)
    assert all(NOW <= told < NOW + timedelta(seconds=20) for told in await _beats(live, 3))
    ledger.now = NOW + timedelta(hours=1)
    assert (await _beats(live, 3))[-1] >= ledger.now


async def test_while_the_ledger_is_unavailable_beats_go_on_by_the_last_reading(
    live: Live, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "BEAT_SECONDS", 0.01)
    await _start(live)
    await _beats(live, 1)
    ledger.now = None
    told = await _beats(live, 5)
    assert told == sorted(told)
    assert all(NOW < each < NOW + timedelta(seconds=20) for each in told[1:])


async def test_a_ledger_that_does_not_answer_delays_no_beat(
    live: Live, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "BEAT_SECONDS", 0.5)
    await _start(live)
    await _beats(live, 1)
    ledger.now, ledger.clock_seconds = None, 0.45
    told = await _beats(live, 4)
    intervals = [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(told)]
    assert min(intervals) < 0.9, "beats wait for a clock and then for their time"


async def test_a_feed_that_opens_and_refuses_to_be_read_is_logged_once_and_tried_less_and_less_often(
    live: Live, feed: ScriptedFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(live_module, "LONGEST_PAUSE", 0.016)
    monkeypatch.setattr(random, "uniform", lambda _, high: high)
    sleep = asyncio.sleep
    slept: list[float] = []

    async def note_sleep(seconds: float) -> None:
        if 0 < seconds < 1:
            slept.append(seconds)
        await sleep(seconds)

    monkeypatch.setattr(asyncio, "sleep", note_sleep)
    for _ in range(6):
        feed.batches.put_nowait(Batch(has_gap=True))
        feed.batches.put_nowait(FeedAway("a right is missing"))
    with capture_logs() as logged:
        await _start(live)
        async with asyncio.timeout(20):
            while len(slept) < 6:
                await sleep(0)
    assert [line["event"] for line in logged] == ["Redis sends no live events; comparing with PostgreSQL instead"]
    assert live.is_feed_down
    assert slept == [0.001, 0.002, 0.004, 0.008, 0.016, 0.016]


async def test_a_feed_that_is_read_again_is_logged_once(live: Live, feed: ScriptedFeed) -> None:
    for batch in (FeedAway("no answer"), Batch(has_gap=True), Batch(), Batch()):
        feed.batches.put_nowait(batch)
    with capture_logs() as logged:
        await _start(live)

        async def is_read_again() -> bool | None:
            return (not live.is_feed_down and len(feed.contexts) >= 5) or None

        await until(is_read_again, what="the feed to be read again")
    assert [line["event"] for line in logged][1:] == ["Redis sends live events again"]
