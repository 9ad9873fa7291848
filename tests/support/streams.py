"""Event streams as browsers see them: over sockets, from the server of `skyhold api`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI

from skyhold.web.api.services import Services
from skyhold.web.edge.server import server_of
from skyhold.web.live.watches import Live

WAIT_SECONDS = 30.0


@dataclass(frozen=True)
class Event:
    """One event and its arrival time."""

    name: str
    data: Any
    id: str
    at: float


@dataclass
class Api:
    """An API at its address, and the streams that tests have opened."""

    app: FastAPI | None  # none if it is another process
    host: str
    port: int
    streams: list[Stream] = field(default_factory=list)

    async def get(
        self, path: str, *, last_event_id: str | None = None, headers: dict[str, str] | None = None
    ) -> Stream:
        """Send a GET and return the reply when its head has arrived."""
        told = {"Host": "skyhold.test", "Accept": "text/event-stream"} | (headers or {})
        if last_event_id is not None:
            told["Last-Event-ID"] = last_event_id
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items())]
        reader, writer = await asyncio.open_connection(self.host, self.port)
        stream = Stream(reader, writer)
        self.streams.append(stream)
        writer.write("\r\n".join([*lines, "", ""]).encode())
        async with asyncio.timeout(WAIT_SECONDS):
            await stream.read_head()
        return stream

    async def watch(self, flight_id: str, *, last_event_id: str | None = None) -> Stream:
        """Open the stream of a flight."""
        return await self.get(f"/api/flights/{flight_id}/events", last_event_id=last_event_id)

    async def follow(self, order_id: str, *, last_event_id: str | None = None) -> Stream:
        """Open the stream of an order, with its token."""
        token = self.services.identities.token_of(order_id)
        headers = {"Authorization": f"Bearer {token}"}
        return await self.get(f"/api/orders/{order_id}/events", last_event_id=last_event_id, headers=headers)

    @property
    def live(self) -> Live:
        return self.services.live

    @property
    def services(self) -> Services:
        assert self.app is not None
        services: Services = self.app.state.services
        return services

    async def close(self) -> None:
        """Close all streams."""
        for stream in self.streams:
            stream.close()
        await asyncio.gather(*(stream.closed() for stream in self.streams))


class Stream:
    """One open stream on a socket of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._text = ""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.beats: list[Event] = []
        self.retry: int | None = None
        self.is_complete = False

    async def read_head(self) -> None:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.split("\r\n")
        self.status = int(lines[0].split()[1])
        self.headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)
        }

    async def body(self) -> bytes:
        """Return the body of a reply that is not a stream."""
        return await self._reader.readexactly(int(self.headers["content-length"]))

    async def next(self, *, within: float = WAIT_SECONDS) -> Event | None:
        """Return the next event that is not a beat, or None when the stream is over."""
        async with asyncio.timeout(within):
            while True:
                while "\n\n" in self._text:
                    block, _, self._text = self._text.partition("\n\n")
                    if (event := self._event_of(block)) and event.name == "beat":
                        self.beats.append(event)
                    elif event:
                        return event
                if not await self._read_on():
                    return None

    async def until(self, check: Callable[[Event], bool], *, within: float = WAIT_SECONDS) -> Event:
        """Read until an event that passes the check, and return it."""
        async with asyncio.timeout(within):
            while True:
                event = await self.next(within=within)
                assert event is not None, "the stream ended"
                if check(event):
                    return event

    async def rest(self, *, within: float = WAIT_SECONDS) -> list[Event]:
        """Return all events until the stream is over."""
        events = []
        while event := await self.next(within=within):
            events.append(event)
        return events

    def close(self) -> None:
        """Close the connection, as a browser that leaves."""
        self._writer.transport.abort()

    async def closed(self) -> None:
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _read_on(self) -> bool:
        try:
            size = int(await self._reader.readuntil(b"\r\n"), 16)
            chunk = await self._reader.readexactly(size + 2)
        except (asyncio.IncompleteReadError, ConnectionError):
            return False
        self.is_complete = size == 0
        self._text += chunk[:-2].decode()
        return size > 0

    def _event_of(self, block: str) -> Event | None:
        fields: dict[str, str] = {}
        for line in block.split("\n"):
            if line.startswith(":"):
                continue
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        if "retry" in fields:
            self.retry = int(fields["retry"])
        if "data" not in fields:
            return None
        return Event(
            fields.get("event", "message"),
            json.loads(fields["data"]),
            fields.get("id", ""),
            asyncio.get_running_loop().time(),
        )


@dataclass
class SeatView:
    """A page's view of a flight's seats: it applies only newer versions."""

    seats: dict[str, tuple[str, int]] = field(default_factory=dict)
    last_event_id: str | None = None

    def apply(self, event: Event) -> None:
        if event.name == "snapshot":
            self.seats = {}
        for seat in event.data["seats"]:
            if seat["version"] > self.seats.get(seat["id"], ("", -1))[1]:
                self.seats[seat["id"]] = (seat["status"], seat["version"])
        self.last_event_id = event.id


@contextlib.asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[Api]:
    """Serve the app on a free port, with the server of `skyhold api`."""
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        host, port = listener.getsockname()
        server = server_of(app)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield (api := Api(app, host, port))
        finally:
            await app.state.services.live.close()
            server.should_exit = True
            await serving
            await api.close()
