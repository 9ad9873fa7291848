"""A small proxy in front of an API, configured well or badly, as real proxies can be.

Of HTTP it knows only the head of a request: each connection carries one request, and the reply is passed on as it
arrives, event streams too.
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
    """A proxy's changes of a request head.

    `keeps_host` passes the client's `Host` on; otherwise the proxy sends the API's own address. `prefix` is the path
    under which it shows the API; with `strips` it removes the path. `adds` are headers that replace the client's.
    """

    keeps_host: bool = False
    prefix: str = ""
    strips: bool = False
    adds: Mapping[str, str] = field(default_factory=dict)


NOTHING_BUT_PROXY_PASS = Manners()


class Proxy:
    """A proxy at an address of its own; its API is set later, since that may need the proxy's address."""

    def __init__(self, manners: Manners | None = None) -> None:
        self.manners = manners or NOTHING_BUT_PROXY_PASS
        self.upstream = ""
        self.port = 0
        self._connections: set[asyncio.Task[None]] = set()

    def address(self, host: str = "127.0.0.1") -> str:
        """Return its address for browsers, by any name of this machine."""
        return f"http://{host}:{self.port}{self.manners.prefix}"

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection."""
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def leave(self) -> None:
        """Close all open connections."""
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
        """Return the head for the API, or nothing if the path is not the API's."""
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
    """Run a proxy in front of the API at this address, or of one that is started later."""
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
    """Serve the API with a worker behind this proxy, with these settings and changes."""
    mine = settings.model_copy(update=changes)
    async with open_worker(mine) as running, running.worker, open_api(mine) as app, served(app) as api:
        proxy.upstream = f"http://{api.host}:{api.port}"
        yield
