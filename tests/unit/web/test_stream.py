"""One listener and its reply: bounded, ended completely, cut off when its client does not read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from skyhold.web.live.stream import BYTES_LIMIT, CONNECTION, FRAMES_LIMIT, EventStream, Listener, frame


class Connection:
    """A connection as an EventStream sees it; once it is full, the other end does not read."""

    def __init__(self, *, room: int) -> None:
        self.sent: list[dict[str, Any]] = []
        self.left: list[Listener] = []
        self.is_full = asyncio.Event()
        self.is_gone = asyncio.Event()
        self._room = room

    async def send(self, message: Any) -> None:
        self.sent.append(message)
        if len(self.sent) > self._room:
            self.is_full.set()
            await self.is_gone.wait()

    async def receive(self) -> Any:
        await self.is_gone.wait()
        return {"type": "http.disconnect"}

    def abort(self) -> None:
        self.is_gone.set()


def _began(listener: Listener, connection: Connection, *, can_abort: bool = True) -> asyncio.Task[None]:
    scope: dict[str, Any] = {"type": "http", "state": {CONNECTION: connection} if can_abort else {}}
    response = EventStream(lambda: listener, connection.left.append)
    return asyncio.create_task(response(scope, connection.receive, connection.send))


def test_a_frame_is_one_event() -> None:
    assert frame("seats", '{"seats":[]}', "a-1") == b'event: seats\nid: a-1\ndata: {"seats":[]}\n\n'


async def test_what_waits_is_taken_at_once_and_in_order() -> None:
    listener = Listener()
    listener.offer(b"1")
    listener.offer(b"2")
    assert await listener.take() == b"12"


async def test_a_listener_that_was_ended_gets_what_waits_and_then_nothing() -> None:
    listener = Listener()
    listener.offer(b"last")
    listener.end()
    listener.offer(b"too late")
    assert [await listener.take(), await listener.take(), await listener.take()] == [b"last", b"", b""]


async def test_a_listener_waits_for_news() -> None:
    listener = Listener()
    taking = asyncio.create_task(listener.take())
    await asyncio.sleep(0)
    assert not taking.done()
    listener.offer(b"news")
    assert await taking == b"news"


@pytest.mark.parametrize("frames", [[b"x"] * (FRAMES_LIMIT + 1), [b"x" * BYTES_LIMIT, b"x"]])
async def test_a_listener_for_whom_too_much_waits_is_cut_off(frames: list[bytes]) -> None:
    listener = Listener()
    for waiting in frames:
        assert not listener.is_ended
        listener.offer(waiting)
    assert listener.is_ended
    assert await listener.take() == b"", "what waited is forgotten"


async def test_one_frame_may_be_larger_than_the_limit() -> None:
    listener = Listener()
    listener.offer(b"x" * (BYTES_LIMIT + 1))
    assert not listener.is_ended


async def test_a_stream_that_ends_is_complete() -> None:
    listener, connection = Listener(), Connection(room=99)
    stream = _began(listener, connection)
    listener.offer(b"news")
    listener.end()
    await asyncio.wait_for(stream, 5)
    assert [message.get("body") for message in connection.sent] == [None, b"news", b""]
    assert [message.get("more_body") for message in connection.sent] == [None, True, False]
    assert listener.is_done.is_set()


async def test_a_stream_ends_when_its_reader_is_gone() -> None:
    listener, connection = Listener(), Connection(room=99)
    stream = _began(listener, connection)
    await asyncio.sleep(0)
    connection.is_gone.set()
    await asyncio.wait_for(stream, 5)
    assert listener.is_ended


@pytest.mark.parametrize("can_abort", [True, False])
async def test_a_stream_that_waits_for_its_reader_ends_when_it_is_cut_off(*, can_abort: bool) -> None:
    listener, connection = Listener(), Connection(room=1)
    stream = _began(listener, connection, can_abort=can_abort)
    listener.offer(b"nobody reads this")
    await asyncio.wait_for(connection.is_full.wait(), 5)
    assert listener.is_stuck()
    listener.cut_off()
    await asyncio.wait_for(stream, 5)
    assert listener.is_done.is_set()
    assert connection.left == [listener]
