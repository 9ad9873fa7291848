"""The server under the app: uvicorn, with a bound on how long and how much a connection may keep it waiting.

A head must come whole within ten seconds and in 16 KB, a body is bounded by its route, idle connections are closed, and
so are those whose client does not take what it asked for. Uvicorn itself waits without end for a head that comes byte
by byte, and for a client that has stopped reading.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from skyhold.web.stream import CONNECTION

BACKLOG = 2048
HEAD_SECONDS = 10.0
HEAD_LIMIT_BYTES = 16 * 1024
PIECE_BYTES = 1024
"""Bytes are looked at in such pieces: a head that comes in one go would be parsed however long it is."""

KEEP_ALIVE_SECONDS = 5

UNREAD_SECONDS = 30.0
"""How long a client may leave unread what waits for it: some 50 KB must go out in this time."""

UNSENT_LIMIT_BYTES = 64 * 1024
"""What the kernel takes for a connection beyond what is on its way; else it takes megabytes for who never reads."""

STOP_SECONDS = 5
"""How long requests under way may take to end."""


class Server(uvicorn.Server):
    """A server that leaves signals to whoever runs it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them as they are."""
        yield


class BoundedProtocol(H11Protocol):
    """One connection, closed when the head of its next request does not come whole and in time, or nothing is read."""

    head_timer: asyncio.TimerHandle | None = None
    unread_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head; a stream of events whose reader has stopped reading can be cut off at once."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, CONNECTION: transport}
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_LIMIT_BYTES)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take what came; it may complete a head."""
        for start in range(0, len(data), PIECE_BYTES):
            if not self.transport.is_closing():
                super().data_received(data[start : start + PIECE_BYTES])
        self._watch()

    def on_response_complete(self) -> None:
        """Begin to wait for the next head."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        super().connection_lost(exc)
        self._stop_waiting()
        self.resume_writing()

    def pause_writing(self) -> None:
        """Wait for the client to read, but not for ever."""
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        """Go on: the client has read."""
        super().resume_writing()
        if self.unread_timer is not None:
            self.unread_timer.cancel()
            self.unread_timer = None

    def _watch(self) -> None:
        """Let the time run exactly while no request is being answered; more bytes do not make it longer."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        elif self.head_timer is None:
            self.head_timer = self.loop.call_later(HEAD_SECONDS, self._close)

    def _close(self) -> None:
        """Close when the client has read what is left, or has had time for it."""
        self.transport.close()
        self._watch_reader()

    def _watch_reader(self) -> None:
        if self.unread_timer is None:
            self.unread_timer = self.loop.call_later(UNREAD_SECONDS, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self.head_timer is not None:
            self.head_timer.cancel()
            self.head_timer = None


def server_of(app: FastAPI) -> Server:
    """Return a server for the app; it is run with sockets of the caller's."""
    # Our own log line for each request names the route; uvicorn's would repeat paths and queries. Proxies are the
    # app's to trust, by its settings.
    return Server(
        uvicorn.Config(
            app,
            http=BoundedProtocol,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            h11_max_incomplete_event_size=HEAD_LIMIT_BYTES,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
    )
