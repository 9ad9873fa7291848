"""The stream of events on real Redis: published changes are read, and gaps are detected."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import psutil
import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from skyhold.domain.seats import SeatKey, SeatState, SeatStatus
from skyhold.events import feed
from skyhold.events.changes import Change
from skyhold.events.feed import BACKLOG_LIMIT, EPOCH, STREAM, STREAM_LENGTH, FeedAway, Publisher, Reader
from skyhold.stores.seat_locks import open_redis
from skyhold_local.embedded.servers import Servers, running_servers
from support.patience import patient_redis
from support.services import eventually

FLIGHT = "550e8400-e29b-41d4-a716-446655440001"


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    with capture_logs() as lines:
        yield lines


@pytest.fixture
async def reader(redis_url: str) -> AsyncIterator[Reader]:
    redis = feed.open_reader_redis(redis_url)
    yield Reader(redis)
    await redis.aclose()


@pytest.fixture
def lonely_servers(tmp_path: Any) -> Iterator[Servers]:
    """Servers that a test may stop."""
    with running_servers(tmp_path, temporal=False) as servers:
        yield servers


def a_change(number: int = 1) -> Change:
    return Change(f"order-{number}", FLIGHT, (SeatState(SeatKey(FLIGHT, "12A"), SeatStatus.RESERVED, number, 35000),))


async def _read(reader: Reader, count: int) -> list[Change]:
    """Read until this many changes have arrived."""
    changes: list[Change] = []
    async with asyncio.timeout(10):
        while len(changes) < count:
            changes += (await reader.read()).changes
    return changes


async def _publish(publisher: Publisher, count: int) -> None:
    for number in range(count):
        publisher.publish(a_change(number))
    async with asyncio.timeout(10):
        assert publisher._task is not None
        await publisher._task


async def test_changes_are_read_in_the_order_in_which_they_were_published(publisher: Publisher, reader: Reader) -> None:
    assert await reader.read() == feed.Batch((), has_gap=True)
    changes = [a_change(number) for number in range(500)]
    for change in changes:
        publisher.publish(change)
    assert await _read(reader, 500) == changes


async def test_what_is_not_known_and_what_has_no_flight_is_told_as_such(publisher: Publisher, reader: Reader) -> None:
    await reader.read()
    changes = [Change("an-order", FLIGHT, None), Change("another", None, ()), a_change()]
    for change in changes:
        publisher.publish(change)
    assert await _read(reader, 3) == changes


async def test_a_reader_begins_at_the_end(publisher: Publisher, reader: Reader, redis: Redis) -> None:
    publisher.publish(a_change(1))
    await publisher.aclose()
    assert await reader.read() == feed.Batch((), has_gap=True)
    later = Publisher(redis)
    later.publish(a_change(2))
    assert await _read(reader, 1) == [a_change(2)]
    await later.aclose()


async def test_every_entry_of_one_stream_has_one_epoch(publisher: Publisher, redis: Redis) -> None:
    for number in range(3):
        publisher.publish(a_change(number))
    await publisher.aclose()
    entries = await _entries(redis)
    assert {fields["epoch"] for fields in entries} == {await redis.get(EPOCH)}
    assert sum("change" in fields for fields in entries) == 3


async def test_a_stream_that_was_wiped_begins_a_new_epoch_and_its_reader_knows_of_the_gap(
    publisher: Publisher, reader: Reader, redis: Redis
) -> None:
    await reader.read()
    before = await redis.get(EPOCH)
    await redis.flushall()
    publisher.publish(a_change())
    await eventually(lambda: redis.exists(STREAM))
    batch = await reader.read()
    assert (batch.changes, batch.has_gap) == ((a_change(),), True)
    assert await redis.get(EPOCH) not in {None, before}
    assert (await reader.read()).has_gap is False


async def test_a_stream_that_was_deleted_alone_begins_a_new_epoch_too(publisher: Publisher, redis: Redis) -> None:
    publisher.publish(a_change())
    await eventually(lambda: redis.exists(STREAM))
    before = await redis.get(EPOCH)
    await redis.delete(STREAM)
    publisher.publish(a_change())
    await eventually(lambda: redis.exists(STREAM))
    assert await redis.get(EPOCH) != before


async def test_a_wipe_is_noticed_also_if_nothing_is_published_after_it(reader: Reader, redis: Redis) -> None:
    await reader.read()
    await redis.flushall()
    async with asyncio.timeout(20):
        while not (await reader.read()).has_gap:
            pass


async def test_a_stream_whose_ids_begin_anew_below_those_that_were_read_is_noticed(
    publisher: Publisher, reader: Reader, redis: Redis
) -> None:
    """This is the case after a restart of Redis on a machine whose clock was set back."""
    await redis.xadd(STREAM, {"epoch": "old"}, id="99999999999999-0")
    await redis.set(EPOCH, "old")
    await reader.read()
    await redis.delete(STREAM)
    publisher.publish(a_change(1))
    async with asyncio.timeout(20):
        while not (await reader.read()).has_gap:
            pass
    publisher.publish(a_change(2))
    assert await _read(reader, 1) == [a_change(2)]


async def test_the_stream_is_trimmed(redis: Redis) -> None:
    publisher = Publisher(redis)
    for _ in range(2 * STREAM_LENGTH // BACKLOG_LIMIT):
        await _publish(publisher, BACKLOG_LIMIT)
    assert STREAM_LENGTH <= await redis.xlen(STREAM) < 1.2 * STREAM_LENGTH
    await publisher.aclose()


async def test_a_reader_that_is_behind_what_was_trimmed_knows_of_the_gap(
    publisher: Publisher, reader: Reader, redis: Redis
) -> None:
    await reader.read()
    await _publish(publisher, 3 * feed.BATCH_LIMIT)
    assert not (await reader.read()).has_gap, "all of it is still there"
    await redis.xtrim(STREAM, maxlen=feed.BATCH_LIMIT, approximate=False)
    assert (await reader.read()).has_gap
    await _publish(publisher, feed.BATCH_LIMIT)
    assert not (await reader.read()).has_gap, "it is noticed once"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"order":"1","flight":"2","seats":[["1A"]]}',
        '{"order":1,"seats":[["1A","?",1]]}',
        '{"order":"1","flight":["2"],"seats":[]}',
    ],
)
async def test_what_cannot_be_understood_is_passed_over(
    text: str, publisher: Publisher, reader: Reader, redis: Redis
) -> None:
    await reader.read()
    await redis.xadd(STREAM, {"epoch": str(await redis.get(EPOCH)), "change": text})
    publisher.publish(a_change())
    assert await _read(reader, 1) == [a_change()]


async def test_publishing_neither_waits_nor_fails_nor_grows_nor_floods_the_log_while_redis_is_away(
    logged: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(feed, "LONGEST_PAUSE", 0.001)
    monkeypatch.setattr(feed, "CLOSING_SECONDS", 60.0)
    redis = open_redis("redis://127.0.0.1:1")
    publisher = Publisher(redis)
    began_at = time.monotonic()
    for number in range(3 * BACKLOG_LIMIT):
        publisher.publish(a_change(number))
    assert time.monotonic() - began_at < 3, "a try for each of them takes longer"
    await eventually(lambda: _are_there(logged))
    await asyncio.sleep(0.1)  # a hundred tries more
    assert len(publisher._backlog) <= BACKLOG_LIMIT
    assert [line["log_level"] for line in logged] == ["warning"]
    began_at = time.monotonic()
    await publisher.aclose()
    assert time.monotonic() - began_at < 30, "nobody waits for a Redis that is known to be away"
    await redis.aclose()


async def test_an_end_waits_a_moment_for_a_redis_that_hangs_and_no_longer(lonely_servers: Servers) -> None:
    redis = open_redis(lonely_servers.redis_url)
    publisher = Publisher(redis)
    process = psutil.Process(lonely_servers.redis.pid)
    process.suspend()
    try:
        publisher.publish(a_change())
        began_at = time.monotonic()
        await publisher.aclose()
        assert time.monotonic() - began_at < feed.CLOSING_SECONDS + 5, "it never answers"
    finally:
        process.resume()
        await redis.aclose()


async def test_what_was_published_while_redis_was_away_is_in_the_stream_when_it_is_back(
    lonely_servers: Servers, logged: list[Any]
) -> None:
    redis, reading = patient_redis(lonely_servers.redis_url), feed.open_reader_redis(lonely_servers.redis_url)
    publisher, reader = Publisher(redis), Reader(reading)
    await reader.read()
    lonely_servers.redis.kill()
    publisher.publish(a_change(1))
    with pytest.raises(FeedAway):
        await reader.read()
    await eventually(lambda: _are_there(logged))
    lonely_servers.redis.start()
    assert (await reader.read()).has_gap
    await eventually(lambda: _has(redis, a_change(1)))
    publisher.publish(a_change(2))
    async with asyncio.timeout(10):
        while a_change(2) not in (await reader.read()).changes:
            pass
    assert [line["log_level"] for line in logged] == ["warning", "info"]
    await publisher.aclose()
    await reading.aclose()
    await redis.aclose()


async def test_an_end_publishes_what_is_left(redis: Redis) -> None:
    publisher = Publisher(redis)
    for number in range(BACKLOG_LIMIT):
        publisher.publish(a_change(number))
    await publisher.aclose()
    assert sum("change" in fields for fields in await _entries(redis)) == BACKLOG_LIMIT
    publisher.publish(a_change())
    assert publisher._backlog == type(publisher._backlog)(), "nothing is taken after the end"


async def _entries(redis: Redis) -> list[dict[str, str]]:
    found: Any = await redis.xrange(STREAM)
    return [fields for _, fields in found]


async def _has(redis: Redis, change: Change) -> bool:
    return any(fields.get("change") == change.to_json() for fields in await _entries(redis))


async def _are_there(lines: list[Any]) -> bool:
    return bool(lines)
