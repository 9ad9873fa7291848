"""The server under the app: uvicorn, with limits of time and size for each connection.

A head must arrive within ten seconds of its first byte and have at most 16 KB; a body is limited by its route. Idle
connections are closed, and so are those whose client does not read its reply. Uvicorn alone waits without a limit for a
head that arrives byte by byte, and for a client that has stopped reading. It answers an unparsable request with a line
of plain text; here the app rejects it with a problem or a page.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, cast

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from skyhold.domain.errors import InvalidRequest, SkyholdError
from skyhold.web.edge.refusals import refused, unreadable_request
from skyhold.web.errors import RequestHeadersTooLarge
from skyhold.web.live.stream import CONNECTION

BACKLOG = 2048
HEAD_SECONDS = 10.0
HEAD_LIMIT_BYTES = 16 * 1024
PIECE_BYTES = 1024
"""Received bytes are parsed in pieces of this size: a head that arrives at once would be parsed whatever its length."""

KEEP_ALIVE_TIMEOUT = timedelta(seconds=75)
"""Time that an idle connection is kept between two requests: longer than proxies keep theirs, or they would send a
request over one that is being closed."""

LINGER_SECONDS = 2.0
"""Time in which bytes that a rejected client still sends are read and dropped. If the connection were closed with
unread bytes, the kernel would send a reset, and the client might lose the answer."""

_UNREADABLE = "The request is not valid HTTP/1.1; nothing was done."
_LINE_TOO_LONG = "The address (URL) of the request is longer than 16 KB. Nothing was done. Send a shorter one."
_HEADERS_TOO_LARGE = 431

UNREAD_SECONDS = 30.0
"""Time that a client may leave pending bytes unread: about 50 KB must be sent in this time."""

UNSENT_LIMIT_BYTES = 64 * 1024
"""Unsent bytes that the kernel buffers for a connection; by default megabytes, for a client that never reads."""

STOP_SECONDS = 5
"""Time that running requests have to end when the server stops."""


class Server(uvicorn.Server):
    """A server that leaves the handling of signals to the caller."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signal handlers as they are."""
        yield


class BoundedProtocol(H11Protocol):
    """One connection, closed when the next head is not complete in time, or when its client has stopped reading."""

    head_timer: asyncio.TimerHandle | None = None
    is_refused = False
    unread_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timeout of a head, and put the transport into the state, so that an event stream can be cut off."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, CONNECTION: transport}
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_LIMIT_BYTES)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Parse the received bytes; they may complete a head."""
        for start in range(0, len(data), PIECE_BYTES):
            if not self.transport.is_closing() and not self.is_refused:
                super().data_received(data[start : start + PIECE_BYTES])
        self._watch()

    def on_response_complete(self) -> None:
        """Start to wait for the next head."""
        super().on_response_complete()
        self._watch()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's text
        """Let the app reject an unparsable request, unless its answer to the request has started."""
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            self._close()
            return
        scope = self._refused_scope(cast("h11.RemoteProtocolError", sys.exception()))
        if self.cycle is not None:
            # The request whose body is invalid may still be processed; its own answer is dropped.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.is_refused = True
        self._unset_keepalive_if_required()
        self.cycle = RequestResponseCycle(
            scope=cast("Any", scope),
            conn=self.conn,
            transport=cast("Any", _Lingering(self)),
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            on_response=self.on_response_complete,
        )
        self.cycle.more_body = False
        self.cycle.message_event.set()
        task = self.loop.create_task(self.cycle.run_asgi(self.app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def linger(self) -> None:
        """Shut down sending, and close after the client has closed or the time is over."""
        if not self.transport.is_closing():
            self.transport.write_eof()
            self._stop_waiting()
            self.head_timer = self.loop.call_later(LINGER_SECONDS, self._close)

    def _refused_scope(self, error: h11.RemoteProtocolError) -> dict[str, Any]:
        refusal: SkyholdError = InvalidRequest(_UNREADABLE)
        if self._is_answering():
            return cast("dict[str, Any]", refused(cast("Any", self.scope), refusal))
        if error.error_status_hint == _HEADERS_TOO_LARGE:
            has_line = b"\n" in self.conn.trailing_data[0]
            refusal = RequestHeadersTooLarge() if has_line else RequestHeadersTooLarge(_LINE_TOO_LONG)
        connection = {"client": self.client, "server": self.server, "scheme": self.scheme, "state": self.app_state}
        return cast("dict[str, Any]", unreadable_request(self.conn.trailing_data[0], refusal, connection))

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel all timers."""
        super().connection_lost(exc)
        self._stop_waiting()
        self._unset_keepalive_if_required()  # after a reset uvicorn's timer would keep the connection in memory
        self.resume_writing()

    def pause_writing(self) -> None:
        """Start the timeout of a client that does not read."""
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        """Cancel that timeout: the client has read."""
        super().resume_writing()
        if self.unread_timer is not None:
            self.unread_timer.cancel()
            self.unread_timer = None

    def _watch(self) -> None:
        """Run the timeout of a head from its first byte on; more bytes do not extend it.

        On a new connection it runs from the start. An idle one between two requests has uvicorn's own timeout,
        `timeout_keep_alive`.
        """
        if self.is_refused:
            return
        if self._is_answering() or self._is_idle():
            self._stop_waiting()
        elif self.head_timer is None:
            self.head_timer = self.loop.call_later(HEAD_SECONDS, self._close)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _is_idle(self) -> bool:
        """Return whether the connection is idle: a request was answered and no byte of the next has arrived."""
        has_nothing = self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]
        return self.cycle is not None and has_nothing

    def _close(self) -> None:
        """Close when the client has read the pending bytes, or when its time for that is over."""
        self.transport.close()
        self._watch_reader()

    def _watch_reader(self) -> None:
        if self.unread_timer is None:
            self.unread_timer = self.loop.call_later(UNREAD_SECONDS, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self.head_timer is not None:
            self.head_timer.cancel()
            self.head_timer = None


class _Lingering:
    """The transport of a rejection; its close does not reset a connection whose client is still sending."""

    def __init__(self, connection: BoundedProtocol) -> None:
        self._connection = connection
        self.write = connection.transport.write
        self.is_closing = connection.transport.is_closing

    def close(self) -> None:
        self._connection.linger()


def server_of(app: FastAPI, *, keep_alive: timedelta = KEEP_ALIVE_TIMEOUT) -> Server:
    """Return a server for the app; the caller runs it with its own sockets."""
    # Our own log line for each request names the route; uvicorn's would repeat paths and queries. The app decides by
    # its settings which proxies are trusted.
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
            timeout_keep_alive=cast("int", keep_alive.total_seconds()),
            timeout_graceful_shutdown=STOP_SECONDS,
        )
    )
