"""Many listeners on real sockets of an API process: latency, cost of slow ones, and shutdown."""

from __future__ import annotations

import asyncio
import selectors
import signal
import socket
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import cast

import psutil
import pytest

from skyhold.events.changes import Change
from skyhold.events.feed import Publisher
from skyhold.postgresql.pools import Pool
from skyhold.settings import Settings
from skyhold.stores.ledger import seat_states_of
from skyhold.web.live.flights import FRAME_SECONDS
from skyhold_local.embedded.servers import Servers
from support.activity_runner import ActivityRunner, a_flight, change
from support.api_processes import ApiProcess, api_process
from support.streams import Api, SeatView, Stream

pytestmark = pytest.mark.rest

LISTENERS = 500
SLOW = 20
P99_SECONDS = 0.3
ROUNDS = 10
MEMORY_OF_A_LISTENER = 64 * 1024


@pytest.fixture
def process(settings: Settings, servers: Servers, tmp_path: Path) -> Iterator[ApiProcess]:
    with _process(settings, servers, tmp_path) as process:
        yield process


@pytest.fixture
def bare_process(settings: Settings, servers: Servers, tmp_path: Path) -> Iterator[ApiProcess]:
    """Another API process, without listeners."""
    with _process(settings, servers, tmp_path) as process:
        yield process


def _process(settings: Settings, servers: Servers, directory: Path) -> AbstractContextManager[ApiProcess]:
    return api_process(
        directory,
        database_url=settings.database_url or "",
        redis_url=settings.redis_url or "",
        temporal_address=servers.temporal_address,
    )


@pytest.fixture
async def api(process: ApiProcess) -> AsyncIterator[Api]:
    """The API of a process of its own."""
    api = Api(None, "127.0.0.1", process.port)
    yield api
    await api.close()


@pytest.fixture
async def large_flight(pool: Pool) -> str:
    """The id of a flight with 300 seats."""
    return await a_flight(pool, [f"{row}{letter}" for row in range(1, 51) for letter in "ABCDEF"])


def a_deaf_reader(port: int, flight: str) -> socket.socket:
    """Open a stream and never read, with a small receive buffer."""
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect(("127.0.0.1", port))
    deaf.sendall(f"GET /api/flights/{flight}/events HTTP/1.1\r\nHost: skyhold.test\r\n\r\n".encode())
    return deaf


class Crowd:
    """Listeners that record arrival times, so cheap that only the API's cost counts."""

    def __init__(self, port: int, flight: str, count: int) -> None:
        self._selector = selectors.DefaultSelector()
        for _ in range(count):
            listener = socket.create_connection(("127.0.0.1", port))
            listener.sendall(f"GET /api/flights/{flight}/events HTTP/1.1\r\nHost: skyhold.test\r\n\r\n".encode())
            self._selector.register(listener, selectors.EVENT_READ)

    def hear(self, mark: bytes, *, within: float = 20.0) -> list[float]:
        """Return the arrival times of this at all listeners, in order."""
        heard: dict[socket.socket, float] = {}
        told: dict[socket.socket, bytes] = defaultdict(bytes)
        deadline = time.monotonic() + within
        while len(heard) < len(self._selector.get_map()):
            assert time.monotonic() < deadline, f"{len(heard)} heard it"
            for key, _ in self._selector.select(timeout=1):
                listener = cast("socket.socket", key.fileobj)
                told[listener] += listener.recv(65536)
                if mark in told[listener]:
                    heard.setdefault(listener, time.monotonic())
        return list(heard.values())

    def close(self) -> None:
        for key in list(self._selector.get_map().values()):
            cast("socket.socket", key.fileobj).close()
        self._selector.close()


@pytest.mark.quiet
async def test_a_change_of_seats_reaches_five_hundred_listeners_within_the_promised_time(
    process: ApiProcess, desk: ActivityRunner, large_flight: str
) -> None:
    """The median of several changes is compared with the promise, since the machine may be busy."""
    await asyncio.to_thread(_warm_up, process.port, large_flight)
    before = process.memory_bytes
    crowd = Crowd(process.port, large_flight, LISTENERS)
    try:
        await asyncio.to_thread(crowd.hear, b"event: snapshot")
        order = await desk.hold(large_flight, ["50F"])
        await asyncio.to_thread(crowd.hear, b'"id":"50F","status":"reserved"')
        rounds: list[list[float]] = []
        for row in range(1, ROUNDS + 1):
            hearing = asyncio.create_task(asyncio.to_thread(crowd.hear, f'"id":"{row}A","status":"reserved"'.encode()))
            order = await desk.do(change(order, [f"{row}A"]))
            committed_at = time.monotonic()
            rounds.append([heard_at - committed_at for heard_at in await hearing])
        grown = process.memory_bytes - before
    finally:
        crowd.close()
    p99s = sorted(delays[int(LISTENERS * 0.99)] for delays in rounds)
    p50s = sorted(delays[LISTENERS // 2] for delays in rounds)
    print(  # noqa: T201 - this test is for the numbers
        f"\n{LISTENERS} listeners: p50 {p50s[ROUNDS // 2] * 1000:.0f} ms, p99 {p99s[ROUNDS // 2] * 1000:.0f} ms "
        f"({p99s[0] * 1000:.0f} to {p99s[-1] * 1000:.0f}), {grown / LISTENERS / 1024:.0f} KB a listener"
    )
    assert p99s[ROUNDS // 2] < P99_SECONDS
    assert grown < LISTENERS * MEMORY_OF_A_LISTENER


def _warm_up(port: int, flight: str) -> None:
    crowd = Crowd(port, flight, 1)
    crowd.hear(b"event: snapshot")
    crowd.close()


async def _follow(stream: Stream, view: SeatView, *, until: dict[str, int]) -> list[float]:
    """Read until the seats have these versions, and return the arrival time of each event."""
    times = []
    while any(view.seats.get(seat, ("", 0))[1] < version for seat, version in until.items()):
        event = await stream.next()
        assert event is not None, "a listener that reads is never cut off"
        view.apply(event)
        times.append(event.at)
    return times


@pytest.mark.timeout(180)
async def test_readers_that_stop_reading_are_cut_off_and_nobody_else_notices(
    api: Api, process: ApiProcess, pool: Pool, publisher: Publisher, large_flight: str
) -> None:
    quick = [await api.watch(large_flight) for _ in range(10)]
    deaf = [a_deaf_reader(process.port, large_flight) for _ in range(SLOW)]
    await _connections(process, len(quick) + SLOW)
    before = process.memory_bytes
    views = [SeatView() for _ in quick]
    following = [
        asyncio.create_task(_follow(stream, view, until={"1A": 2 + 10_000}))
        for stream, view in zip(quick, views, strict=True)
    ]
    # Every seat changes at once, repeatedly, so each frame has the maximum size.
    began_at = time.monotonic()
    async with asyncio.timeout(90):
        while await _count_of(process) > len(quick):
            await _change_all(pool, publisher, large_flight)
    print(f"\n{SLOW} deaf readers cut off after {time.monotonic() - began_at:.1f} s")  # noqa: T201
    assert process.memory_bytes - before < 40 * 1024 * 1024
    for task in following:
        assert not task.done()
        task.cancel()
    await asyncio.gather(*following, return_exceptions=True)
    for one in deaf:
        one.close()


async def _count_of(process: ApiProcess) -> int:
    connections = psutil.Process(process.process.pid).net_connections(kind="tcp")
    return sum(found.status == psutil.CONN_ESTABLISHED and found.laddr.port == process.port for found in connections)


async def _connections(process: ApiProcess, count: int) -> None:
    async with asyncio.timeout(10):
        while await _count_of(process) < count:  # noqa: ASYNC110 - the sockets are another process's
            await asyncio.sleep(0.02)


async def _change_all(pool: Pool, publisher: Publisher, flight: str) -> None:
    """Change every seat, and publish all of them in one event."""
    rows = await pool.fetch(
        """UPDATE seats SET status = CASE status WHEN 'blocked' THEN 'available' ELSE 'blocked' END, version = version + 1
           WHERE flight_id = $1 RETURNING flight_id, seat_id, status, version, price_cents""",
        flight,
    )
    publisher.publish(Change("an-order", flight, seat_states_of(rows)))
    await asyncio.sleep(FRAME_SECONDS)  # otherwise two changes would share one frame


@pytest.mark.quiet
async def test_a_stop_ends_an_api_with_open_streams_at_once(
    api: Api, process: ApiProcess, *, bare_process: ApiProcess, flight: str, large_flight: str
) -> None:
    """Also unread streams; compared with an API without streams, because a shutdown takes a while in any case."""
    streams = [await api.watch(flight) for _ in range(50)]
    deaf = [a_deaf_reader(process.port, large_flight) for _ in range(5)]
    await _connections(process, 55)
    bare, full = await _stop(bare_process), await _stop(process)
    print(f"\nended after {full * 1000:.0f} ms, without streams after {bare * 1000:.0f} ms")  # noqa: T201
    assert full < 2 * bare + 0.5
    for stream in streams:
        await stream.rest()
        assert stream.is_complete
    for one in deaf:
        one.close()


async def _stop(process: ApiProcess) -> float:
    """Stop it as a service manager does, and return the seconds that it took."""
    began_at = time.monotonic()
    process.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.process.wait, 10) == 0
    return time.monotonic() - began_at
