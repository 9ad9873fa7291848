"""A link to a server over which bad things happen on purpose: late, silent, closed, cut, or deaf to what is answered.

Knows no protocol. What is wrong with a link is set for the length of a block, so that it always ends.
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

_RESET = struct.pack("ii", 1, 0)  # linger for no time: the other side hears of a reset and not of an end

Address = tuple[str, int]


class Link:
    """A way to one server, on a port that stays; `upstream` says where the server is by now, or that it is nowhere."""

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
        self._deafness = 0
        self._delays: list[float] = []

    async def open(self) -> None:
        """Listen on a port that is free."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Cut every connection and listen no more."""
        if self._server is not None:
            self._server.close()
        self.reset()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    @contextlib.contextmanager
    def delayed(self, seconds: float) -> Iterator[None]:
        """Let everything come so much later, in both directions."""
        self._delays.append(seconds)
        try:
            yield
        finally:
            self._delays.remove(seconds)

    @contextlib.contextmanager
    def stalled(self) -> Iterator[None]:
        """Let connections stand and nothing pass; what was sent meanwhile passes afterwards."""
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
        """Cut every connection and let no new one come about."""
        self._refusals += 1
        self.reset()
        try:
            yield
        finally:
            self._refusals -= 1

    @contextlib.contextmanager
    def deaf(self) -> Iterator[None]:
        """Let what is asked reach the server, and cut a connection when the server has answered."""
        self._deafness += 1
        try:
            yield
        finally:
            self._deafness -= 1

    def reset(self) -> int:
        """Cut every connection that there is, and return how many ends of one there were."""
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
            pass  # One end was cut; so is the other now.
        finally:
            self._writers -= ends
            _cut(their_writer)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool) -> None:
        """Carry one direction until its end; what is late is late by the same for all, so the order stays."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(CHUNKS_UNDER_WAY)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._deliver(under_way, writer))
            chunk = b"?"
            while chunk:
                chunk = await reader.read(CHUNK_BYTES)
                if is_answer and self._deafness:
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
    """End a connection at once, without a goodbye; without harm if it has ended."""
    if writer.transport.is_closing():
        return
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
