"""The stream of a flight: first all seats, then the changes; a reconnect gets exactly the missed changes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
from redis.asyncio import Redis

from skyhold.bootstrap.api import open_api
from skyhold.events.changes import Change
from skyhold.events.feed import EPOCH, STREAM, Publisher
from skyhold.messages import ExpireOrder
from skyhold.postgresql.pools import Pool
from skyhold.settings import Settings
from skyhold.web.live import flights as live_flights
from skyhold.web.live import watches as live
from skyhold.web.live.stream import RETRY_MILLISECONDS
from support.activity_runner import ActivityRunner, a_flight, change, fail, next_step
from support.services import eventually
from support.streams import Api, Event, SeatView, Stream, served


@pytest.fixture
async def other_api(settings: Settings) -> AsyncIterator[Api]:
    """A second API process, for all that streams can see."""
    async with open_api(settings) as app, served(app) as api:
        yield api


async def seats_of(pool: Pool, flight: str) -> dict[str, tuple[str, int]]:
    rows = await pool.fetch("SELECT seat_id, status, version FROM seats WHERE flight_id = $1", flight)
    return {row["seat_id"]: (row["status"], row["version"]) for row in rows}


async def change_unheard(pool: Pool, flight: str, seat: str) -> None:
    """Change a seat without an event, like a process that dies before it publishes."""
    await pool.execute(
        """UPDATE seats SET status = CASE status WHEN 'blocked' THEN 'available' ELSE 'blocked' END, version = version + 1
           WHERE flight_id = $1 AND seat_id = $2""",
        flight,
        seat,
    )


def told(event: Event | None) -> dict[str, str]:
    assert event is not None
    return {seat["id"]: seat["status"] for seat in event.data["seats"]}


async def test_the_first_event_tells_every_seat(api: Api, pool: Pool, flight: str) -> None:
    stream = await api.watch(flight)
    event = await stream.next()
    assert event is not None
    assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert stream.headers["cache-control"] == "no-store, no-transform"
    view = SeatView()
    view.apply(event)
    assert (event.name, view.seats) == ("snapshot", await seats_of(pool, flight))
    assert [seat["id"] for seat in event.data["seats"]][:6] == ["1A", "1B", "1C", "1D", "2A", "2B"]


async def test_every_change_of_seats_is_told(api: Api, desk: ActivityRunner, flight: str) -> None:
    stream = await api.watch(flight)
    await stream.next()
    order = await desk.hold(flight, ["1A", "1B"])
    assert told(await stream.next()) == {"1A": "reserved", "1B": "reserved"}
    order = await desk.do(change(order, ["1B", "1C"]))
    assert told(await stream.next()) == {"1A": "available", "1C": "reserved"}
    await desk.pay(order)
    assert told(await stream.next()) == {"1B": "booked", "1C": "booked"}
    cancelled = await desk.hold(flight, ["1A"])
    assert told(await stream.next()) == {"1A": "reserved"}
    await desk.do(fail(cancelled))
    assert told(await stream.next()) == {"1A": "available"}
    lapsed = await desk.hold(flight, ["1A"])
    assert told(await stream.next()) == {"1A": "reserved"}
    await desk.let_lapse(lapsed)
    await desk.do(ExpireOrder(next_step(lapsed)))
    assert told(await stream.next()) == {"1A": "available"}


async def test_a_flight_hears_nothing_of_another(api: Api, desk: ActivityRunner, pool: Pool, flight: str) -> None:
    stream = await api.watch(flight)
    await stream.next()
    await desk.hold(await a_flight(pool), ["1A"])
    await desk.hold(flight, ["1B"])
    assert told(await stream.next()) == {"1B": "reserved"}


async def test_changes_that_come_fast_are_told_together_and_the_first_at_once(
    api: Api, desk: ActivityRunner, pool: Pool, flight: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_flights, "FRAME_SECONDS", 2.0)
    stream = await api.watch(flight)
    view = SeatView()
    view.apply(await _next(stream))
    began_at = asyncio.get_running_loop().time()
    reading = asyncio.create_task(_next_two(stream))
    order = await desk.hold(flight, ["1A"])
    for seat in "1B", "1C", "1D", "2A", "2B":
        order = await desk.do(change(order, [seat]))
    first, second = await reading
    assert first.at - began_at < 1.9
    assert second.at - first.at > 1.0
    for event in first, second:
        view.apply(event)
    assert view.seats == await seats_of(pool, flight)


async def test_who_comes_back_hears_what_changed_since_and_nothing_else(
    api: Api, desk: ActivityRunner, flight: str
) -> None:
    stream = await api.watch(flight)
    snapshot = await _next(stream)
    order = await desk.hold(flight, ["1A"])
    first = await _next(stream)
    stream.close()
    await desk.do(change(order, ["1A", "1B", "1C"]))
    back = await api.watch(flight, last_event_id=first.id)
    event = await _next(back)
    assert (event.name, told(event)) == ("seats", {"1B": "reserved", "1C": "reserved"})
    longer_away = await api.watch(flight, last_event_id=snapshot.id)
    event = await _next(longer_away)
    assert (event.name, told(event)) == ("seats", {"1A": "reserved", "1B": "reserved", "1C": "reserved"})


async def test_who_missed_nothing_hears_the_next_change_first(api: Api, desk: ActivityRunner, flight: str) -> None:
    stream = await api.watch(flight)
    snapshot = await _next(stream)
    stream.close()
    back = await api.watch(flight, last_event_id=snapshot.id)
    await desk.hold(flight, ["1A"])
    event = await _next(back)
    assert (event.name, told(event)) == ("seats", {"1A": "reserved"})
    assert back.retry is not None


@pytest.mark.rest(but_first=True)
@pytest.mark.parametrize(
    "last_event_id",
    ["", "1", "-", "-1", "{name}", "{name}-", "{name}--1", "{name}-1.5", "{name}-²", "{name}-" + "9" * 400, "x" * 5000],
)
async def test_an_id_that_is_none_of_ours_gets_every_seat(api: Api, flight: str, last_event_id: str) -> None:
    name = (await _next(await api.watch(flight))).id.partition("-")[0]
    back = await api.watch(flight, last_event_id=last_event_id.replace("{name}", name).encode().decode("latin-1"))
    assert (await _next(back)).name == "snapshot"


async def test_an_id_of_another_process_gets_every_seat(api: Api, other_api: Api, flight: str) -> None:
    """The changes that the other process had missed before it sent this id are unknown here."""
    first = await _next(await api.watch(flight))
    await _next(await other_api.watch(flight))
    assert (await _next(await other_api.watch(flight, last_event_id=first.id))).name == "snapshot"


async def test_a_flight_stays_watched_for_a_while_and_is_forgotten_then(
    api: Api, flight: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = await api.watch(flight)
    first = await _next(stream)
    stream.close()
    await eventually(lambda: _has_no_listener(api))
    api.live.flights.forget_idle()
    assert flight in api.live.flights._watches
    monkeypatch.setattr(live_flights, "LINGER_SECONDS", 0.0)
    api.live.flights.forget_idle()
    assert flight not in api.live.flights._watches
    assert (await _next(await api.watch(flight, last_event_id=first.id))).name == "snapshot"


async def test_a_flight_with_a_listener_is_never_forgotten(
    api: Api, flight: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _next(await api.watch(flight))
    monkeypatch.setattr(live_flights, "LINGER_SECONDS", 0.0)
    api.live.flights.forget_idle()
    assert flight in api.live.flights._watches


async def test_the_idlest_flights_are_forgotten_first(api: Api, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_flights, "IDLE_LIMIT", 2)
    flights = [await a_flight(pool, ["1A"]) for _ in range(4)]
    for flight in flights:
        await api.live.flights.watch(flight)
    api.live.flights.forget_idle()
    assert list(api.live.flights._watches) == flights[2:]


async def test_a_change_that_no_event_told_of_is_found_by_comparing(
    api: Api, pool: Pool, flight: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "RESYNC_SECONDS", 0.2)
    stream = await api.watch(flight)
    first = await _next(stream)
    await change_unheard(pool, flight, "1C")
    assert told(await stream.next()) == {"1C": "blocked"}
    back = await api.watch(flight, last_event_id=first.id)
    assert told(await back.next()) == {"1C": "blocked"}


async def test_a_price_changed_by_sql_is_found_by_comparing(
    api: Api, pool: Pool, flight: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "RESYNC_SECONDS", 0.2)
    stream = await api.watch(flight)
    first = await _next(stream)
    assert {seat["priceCents"] for seat in first.data["seats"]} == {35000}
    await pool.execute(
        "UPDATE seats SET price_cents = 40000, version = version + 1 WHERE flight_id = $1 AND seat_id = '1C'", flight
    )
    event = await _next(stream)
    assert event.data["seats"] == [{"id": "1C", "status": "available", "version": 2, "priceCents": 40000}]


async def test_seats_of_a_worker_that_knows_no_prices_are_compared(
    api: Api, pool: Pool, flight: str, redis: Redis
) -> None:
    stream = await api.watch(flight)
    await stream.next()
    await _is_heard(api)
    await change_unheard(pool, flight, "1C")
    entry = {"order": "an-order", "flight": flight, "seats": [["1C", "blocked", 2]]}
    await redis.xadd(STREAM, {"epoch": await redis.get(EPOCH) or "", "change": json.dumps(entry)})
    event = await stream.next(within=10)
    assert event is not None
    assert event.data["seats"] == [{"id": "1C", "status": "blocked", "version": 2, "priceCents": 35000}]


async def test_what_comparing_found_reaches_also_who_comes_back(api: Api, pool: Pool, flight: str) -> None:
    stream = await api.watch(flight)
    first = await _next(stream)
    stream.close()
    await change_unheard(pool, flight, "1C")
    await api.live.flights.resync()
    back = await api.watch(flight, last_event_id=first.id)
    event = await _next(back)
    assert (event.name, told(event)) == ("seats", {"1C": "blocked"})


async def test_an_event_that_does_not_know_its_seats_has_the_flight_compared_at_once(
    api: Api, pool: Pool, flight: str, publisher: Publisher
) -> None:
    stream = await api.watch(flight)
    await stream.next()
    await _is_heard(api)
    await change_unheard(pool, flight, "1C")
    publisher.publish(Change("an-order", flight, None))
    assert told(await stream.next(within=10)) == {"1C": "blocked"}, "long before it is compared by the clock"


async def test_many_events_that_do_not_know_their_seats_do_not_put_off_comparing(
    api: Api,
    compared: asyncio.Event,
    pool: Pool,
    *,
    flight: str,
    publisher: Publisher,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live, "RESYNC_SECONDS", 0.5)
    other = await a_flight(pool)
    stream, of_other = await api.watch(flight), await api.watch(other)
    await stream.next()
    await of_other.next()
    await asyncio.wait_for(compared.wait(), 10)
    await api.live.flights.resync()
    await change_unheard(pool, flight, "1C")
    hearing = asyncio.create_task(stream.next(within=10))
    while not hearing.done():
        publisher.publish(Change("an-order", other, None))
        await asyncio.wait({hearing}, timeout=0.05)
    assert told(await hearing) == {"1C": "blocked"}


async def test_older_news_of_a_seat_is_no_news(
    api: Api, desk: ActivityRunner, flight: str, publisher: Publisher
) -> None:
    seen: list[Change] = []
    loud = ActivityRunner(desk.pool, desk.locks, desk.gateway, publish=seen.append)
    order = await loud.hold(flight, ["1A"])
    await loud.do(fail(order))
    stream = await api.watch(flight)
    await stream.next()
    await _is_heard(api)
    for late in reversed(seen):
        publisher.publish(late)
    await desk.hold(flight, ["1B"])
    assert told(await stream.next()) == {"1B": "reserved"}


async def test_a_newcomer_sees_what_postgresql_said_a_moment_ago(
    api: Api, pool: Pool, flight: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _next(await api.watch(flight))
    await change_unheard(pool, flight, "1C")
    monkeypatch.setattr(live_flights, "FRESH_SECONDS", 0.0)
    assert told(await (await api.watch(flight)).next())["1C"] == "blocked"


async def test_many_newcomers_at_once_cost_one_read(api: Api, flight: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_flights, "FRESH_SECONDS", 60.0)
    reads, read = [], api.live.flights._read_seats

    async def counted(flight_id: str) -> object:
        reads.append(flight_id)
        return await read(flight_id)

    monkeypatch.setattr(api.live.flights, "_read_seats", counted)
    streams = await asyncio.gather(*(api.watch(flight) for _ in range(50)))
    assert {(await _next(stream)).name for stream in streams} == {"snapshot"}
    # One for the first, and one because the reader of events had just started.
    assert 1 <= len(reads) <= 2


@pytest.mark.parametrize("flight_id", ["nope", "550e8400-e29b-41d4-a716-446655449999", "%00", "x" * 300])
async def test_a_flight_that_is_not_there_is_a_problem_before_any_stream(api: Api, flight_id: str) -> None:
    reply = await api.watch(flight_id)
    problem = json.loads(await reply.body())
    assert (reply.status, problem["error"]) == (404, "FLIGHT_NOT_FOUND")
    assert reply.headers["content-type"] == "application/problem+json"
    assert api.live.flights._watches == {}


async def test_a_quiet_stream_beats_by_postgresqls_clock(
    api: Api, flight: str, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "BEAT_SECONDS", 0.05)
    stream = await api.watch(flight)
    await stream.next()
    reading = asyncio.create_task(stream.next())

    async def is_alive() -> bool:
        return len(stream.beats) >= 3

    before = await pool.fetchval("SELECT clock_timestamp()")
    await eventually(is_alive, seconds=9)
    after = await pool.fetchval("SELECT clock_timestamp()")
    told = datetime.fromisoformat(stream.beats[-1].data["serverTime"])
    assert before - timedelta(seconds=1) < told < after + timedelta(seconds=1)
    assert {beat.id for beat in stream.beats} == {""}
    assert not reading.done()
    reading.cancel()


async def test_browsers_are_told_to_come_back_at_different_times(api: Api, flight: str) -> None:
    streams = await asyncio.gather(*(api.watch(flight) for _ in range(20)))
    for stream in streams:
        await stream.next()
    times = {opened.retry for opened in streams if opened.retry is not None}
    assert len(times) > 10
    assert RETRY_MILLISECONDS[0] <= min(times) <= max(times) <= RETRY_MILLISECONDS[1]


async def test_one_process_keeps_so_many_streams_and_no_more(
    api: Api, flight: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "STREAMS_LIMIT", 2)
    streams = [await api.watch(flight), await api.watch(flight)]
    refused = await api.watch(flight)
    problem = json.loads(await refused.body())
    assert (refused.status, problem["error"]) == (429, "RATE_LIMITED")
    assert int(refused.headers["retry-after"]) > 0
    streams[0].close()

    async def is_let_in() -> bool:
        return (await api.watch(flight)).status == 200

    assert await eventually(is_let_in)


async def test_whoever_leaves_is_forgotten(api: Api, flight: str) -> None:
    streams = [await api.watch(flight) for _ in range(5)]
    assert len(api.live.flights._watches[flight].listeners) == 5
    for opened in streams:
        opened.close()
    await eventually(lambda: _has_no_listener(api))
    assert api.live.flights._watches[flight].listeners == set()


async def test_a_wipe_of_redis_costs_nobody_anything(
    api: Api, desk: ActivityRunner, pool: Pool, flight: str, redis: Redis
) -> None:
    stream = await api.watch(flight)
    view = SeatView()
    view.apply(await _next(stream))
    for seat in "1A", "1B", "1C":
        await redis.flushall()
        await desk.hold(flight, [seat])
        view.apply(await _next(stream))
    assert view.seats == await seats_of(pool, flight)


async def _next(opened: Stream) -> Event:
    event = await opened.next()
    assert event is not None, "the stream ended"
    return event


async def _next_two(opened: Stream) -> tuple[Event, Event]:
    return await _next(opened), await _next(opened)


async def _has_no_listener(api: Api) -> bool:
    return not api.live._listeners


async def _is_heard(api: Api) -> None:
    """Wait until the API reads events."""

    async def is_open() -> bool:
        return getattr(api.live._feed, "_position", None) is not None

    await eventually(is_open)
