"""A link to a server: a TCP proxy with injected faults (delay, stall, refuse, reset, lost replies).

Knows no protocol. A fault is set for the length of a block, so that it always ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Iterator
from time import monotonic

CHUNK_BYTES = 64 * 1024
CHUNKS_UNDER_WAY = 256
CONNECTIONS_LIMIT = 256
CONNECT_SECONDS = 5.0

_RESET = struct.pack("ii", 1, 0)  # linger for 0 s: the other side gets a reset instead of an end of stream

Address = tuple[str, int]


class Link:
    """A proxy to one server, on a constant port; `upstream` returns the server's current address, or None."""

    def __init__(self, upstream: Callable[[], Address | None]) -> None:
        self.port = 0
        self._upstream = upstream
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._connections: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._stalls = 0
        self._refusals = 0
        self._dropping = 0
        self._delays: list[float] = []

    async def open(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Reset every connection and stop listening."""
        if self._server is not None:
            self._server.close()
        self.reset()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    @contextlib.contextmanager
    def delayed(self, seconds: float) -> Iterator[None]:
        """Delay all data by this time, in both directions."""
        self._delays.append(seconds)
        try:
            yield
        finally:
            self._delays.remove(seconds)

    @contextlib.contextmanager
    def stalled(self) -> Iterator[None]:
        """Keep connections open without passing data; data sent meanwhile passes afterwards."""
        self._stalls += 1
        self._flows.clear()
        try:
            yield
        finally:
            self._stalls -= 1
            if not self._stalls:
                self._flows.set()

    @contextlib.contextmanager
    def refused(self) -> Iterator[None]:
        """Reset every connection and refuse new ones."""
        self._refusals += 1
        self.reset()
        try:
            yield
        finally:
            self._refusals -= 1

    @contextlib.contextmanager
    def dropping_replies(self) -> Iterator[None]:
        """Pass requests to the server, and reset a connection when the server replies."""
        self._dropping += 1
        try:
            yield
        finally:
            self._dropping -= 1

    def reset(self) -> int:
        """Reset all connections, and return the number of their ends."""
        writers = list(self._writers)
        for writer in writers:
            _cut(writer)
        return len(writers)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._connect(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)
        connection.add_done_callback(lambda _: _cut(writer))

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = self._upstream()
        if self._refusals or address is None or len(self._connections) > CONNECTIONS_LIMIT:
            return
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                their_reader, their_writer = await asyncio.open_connection(*address)
        except (OSError, TimeoutError):
            return
        ends = {writer, their_writer}
        self._writers |= ends
        try:
            async with asyncio.TaskGroup() as directions:
                directions.create_task(self._carry(reader, their_writer, is_answer=False))
                directions.create_task(self._carry(their_reader, writer, is_answer=True))
        except* OSError:
            pass  # One end was reset; the other end is closed now, too.
        finally:
            self._writers -= ends
            _cut(their_writer)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool) -> None:
        """Copy one direction until its end; all data have the same delay, so the order stays."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(CHUNKS_UNDER_WAY)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._deliver(under_way, writer))
            chunk = b"?"
            while chunk:
                chunk = await reader.read(CHUNK_BYTES)
                if is_answer and self._dropping:
                    raise ConnectionResetError
                await under_way.put((monotonic() + sum(self._delays), chunk))

    async def _deliver(self, under_way: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        while True:
            due_at, chunk = await under_way.get()
            await asyncio.sleep(max(0.0, due_at - monotonic()))
            await self._flows.wait()
            if not chunk:
                writer.write_eof()
                return
            writer.write(chunk)
            await writer.drain()


def _cut(writer: asyncio.StreamWriter) -> None:
    """Close a connection at once with a reset; do nothing if it has ended."""
    if writer.transport.is_closing():
        return
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
