"""Server-sent events to one listener: a bounded queue of encoded frames, and the response that sends them.

FastAPI's own SSE encodes each event for each listener, needs four tasks and two queues for each, and cannot be ended
while it waits for a reader that has stopped reading. This response sends frames that all listeners share and needs two
tasks. A listener that falls behind is cut off: its client reconnects by itself and gets the changes that it missed.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

MEDIA_TYPE = "text/event-stream"

FRAMES_LIMIT = 64
BYTES_LIMIT = 256 * 1024
"""Limits of one listener's queue, besides the buffer of its connection; a flight sends ten frames a second at most."""

RETRY_MILLISECONDS = (1_000, 3_000)
"""Delay of a browser's reconnect after an end: spread, so that not all reconnect at once."""

CONNECTION = "connection"
"""The key of a request's state under which the server puts its connection (an `asyncio.Transport`)."""

_HEADERS = {
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",  # nginx would buffer events
}


def frame(event: str, data: str, event_id: str) -> bytes:
    """Return one encoded event; `data` is JSON without line breaks."""
    return f"event: {event}\nid: {event_id}\ndata: {data}\n\n".encode()


def beat(data: str) -> bytes:
    """Return the heartbeat event, without an id, so that `Last-Event-ID` stays that of the last change."""
    return f"event: beat\ndata: {data}\n\n".encode()


def retry_line() -> bytes:
    """Return the line that sets the delay of a reconnect; it belongs to the block of the first frame, which follows."""
    return f"retry: {random.randint(*RETRY_MILLISECONDS)}\n".encode()


class Listener:
    """One open stream: its queue of frames, and whether it has been ended."""

    def __init__(self) -> None:
        self.is_ended = False
        self.is_done = asyncio.Event()
        self._frames: deque[bytes] = deque()
        self._size = 0
        self._has_news = asyncio.Event()
        self._connection: asyncio.Transport | None = None
        self._bound: asyncio.Timeout | None = None

    def offer(self, frame: bytes) -> None:
        """Queue the frame; a listener that cannot keep up is cut off."""
        if self.is_ended:
            return
        if len(self._frames) >= FRAMES_LIMIT or (self._frames and self._size + len(frame) > BYTES_LIMIT):
            self.cut_off()
            return
        self._frames.append(frame)
        self._size += len(frame)
        self._has_news.set()

    def end(self) -> None:
        """End the stream when all queued frames have been sent."""
        self.is_ended = True
        self._has_news.set()

    def cut_off(self) -> None:
        """End the stream at once, also if its reader does not read; queued frames are dropped."""
        self._frames.clear()
        self.end()
        if self._connection is not None:
            # `close` would wait until the client has read the buffer of the connection.
            self._connection.abort()
        elif self._bound is not None and not self.is_done.is_set():
            self._bound.reschedule(asyncio.get_running_loop().time())

    def is_stuck(self) -> bool:
        """Return whether frames or buffered bytes still wait for the reader."""
        return not self.is_done.is_set() or bool(self._connection and self._connection.get_write_buffer_size())

    def begin(self, connection: asyncio.Transport | None, bound: asyncio.Timeout) -> None:
        """Set the connection over which frames are sent, and the timeout that ends the sending if there is none."""
        self._connection = connection
        self._bound = bound

    async def take(self) -> bytes:
        """Wait for frames and return all of them; empty bytes mean that the stream has ended."""
        if not self._frames and not self.is_ended:
            await self._has_news.wait()
        self._has_news.clear()
        frames = b"".join(self._frames)
        self._frames.clear()
        self._size = 0
        return frames


class EventStream(Response):
    """A reply that continues until its listener is ended, or its reader is gone or too slow.

    `enter` returns the listener when the reply begins, and `leave` is called with it however the reply ends.
    """

    media_type = MEDIA_TYPE

    def __init__(self, enter: Callable[[], Listener], leave: Callable[[Listener], None]) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._enter = enter
        self._leave = leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the frames of the listener."""
        listener = self._enter()
        watching = asyncio.create_task(_end_when_gone(receive, listener))
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(None) as bound:
                    listener.begin(scope.get("state", {}).get(CONNECTION), bound)
                    await self._send_all(listener, send)
        finally:
            watching.cancel()
            self._leave(listener)
            listener.is_done.set()

    async def _send_all(self, listener: Listener, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        while frames := await listener.take():
            await send(_part(frames, more_body=True))
        await send(_part(b"", more_body=False))


def _part(body: bytes, *, more_body: bool) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more_body}


async def _end_when_gone(receive: Receive, listener: Listener) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    listener.end()
