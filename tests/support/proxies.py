"""A small proxy in front of an API, set up well or badly, as the programs of others can be.

It knows no more of HTTP than the head of a request: each connection brings one request, and what is answered is passed
on as it comes, streams of events too.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from skyhold.bootstrap.api import open_api
from skyhold.bootstrap.workers import open_worker
from skyhold.settings import Settings
from support.streams import served

PIECE_BYTES = 64 * 1024


@dataclass(frozen=True)
class Manners:
    """What a proxy does to the head of a request.

    `keeps_host` passes the client's `Host` on, else the proxy names the API's own address. `prefix` is the path under
    which it shows the API; one that `strips` takes it off. `adds` are headers that it writes, in place of the client's.
    """

    keeps_host: bool = False
    prefix: str = ""
    strips: bool = False
    adds: Mapping[str, str] = field(default_factory=dict)


NOTHING_BUT_PROXY_PASS = Manners()


class Proxy:
    """A proxy at an address of its own; where its API is can be said later, since that may need to know the address."""

    def __init__(self, manners: Manners | None = None) -> None:
        self.manners = manners or NOTHING_BUT_PROXY_PASS
        self.upstream = ""
        self.port = 0
        self._connections: set[asyncio.Task[None]] = set()

    def address(self, host: str = "127.0.0.1") -> str:
        """Return where browsers find it, by any name of this machine's."""
        return f"http://{host}:{self.port}{self.manners.prefix}"

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection."""
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def leave(self) -> None:
        """Cut what is still open."""
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            if not (changed := self._changed(head.decode("latin1"))):
                writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            place = urlsplit(self.upstream)
            theirs, mine = await asyncio.open_connection(place.hostname, place.port)
            with contextlib.closing(mine):
                mine.write(changed)
                sending = asyncio.create_task(_carry(reader, mine))
                await _carry(theirs, writer)
                sending.cancel()

    def _changed(self, head: str) -> bytes:
        """Return the head as the API gets it, or nothing where the proxy shows something else."""
        line, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
        method, path, version = line.split(" ")
        manners = self.manners
        if manners.prefix and path != manners.prefix and not path.startswith(f"{manners.prefix}/"):
            return b""
        if manners.strips:
            path = path.removeprefix(manners.prefix) or "/"
        adds = dict(manners.adds)
        if not manners.keeps_host:
            adds.setdefault("Host", urlsplit(self.upstream).netloc)
        own = {name.lower() for name in adds} | {"connection"}
        kept = [line for line in lines if line.partition(":")[0].lower() not in own]
        written = [f"{name}: {value}" for name, value in adds.items()]
        return "\r\n".join([f"{method} {path} {version}", *kept, *written, "Connection: close", "", ""]).encode(
            "latin1"
        )


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(PIECE_BYTES):
        writer.write(piece)
        await writer.drain()


@contextlib.asynccontextmanager
async def proxying(manners: Manners = NOTHING_BUT_PROXY_PASS, upstream: str = "") -> AsyncIterator[Proxy]:
    """Run a proxy in front of the API at this address, or of one that starts later."""
    proxy = Proxy(manners)
    proxy.upstream = upstream
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.leave()


@contextlib.asynccontextmanager
async def serving_behind(settings: Settings, proxy: Proxy, **changes: Any) -> AsyncIterator[None]:
    """Serve the API with a worker behind this proxy, by these settings with what is changed of them."""
    mine = settings.model_copy(update=changes)
    async with open_worker(mine) as running, running.worker, open_api(mine) as app, served(app) as api:
        proxy.upstream = f"http://{api.host}:{api.port}"
        yield
