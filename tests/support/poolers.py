"""A stand-in for a connection pooler: it drops or refuses a client's startup settings."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from enum import Enum
from urllib.parse import urlsplit

PROTOCOL = 196_608
SSL_REQUEST = 80_877_103
KNOWN = {"user", "database", "client_encoding", "application_name"}
"""Settings that a pooler passes on, or tracks itself; PgBouncer's list is a little longer."""


class Manner(Enum):
    """The pooler's treatment of settings that it does not know."""

    DROPS = "drops"
    REFUSES = "refuses"


@contextlib.asynccontextmanager
async def pooler(database_url: str, manner: Manner) -> AsyncIterator[str]:
    """Run a pooler in front of the server at an address, and yield the pooler's address."""
    parts = urlsplit(database_url)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await _serve(reader, writer, manner, str(parts.hostname), parts.port or 5432)
        await _close(writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield database_url.replace(f":{parts.port}/", f":{port}/")
    finally:
        server.close()


async def _serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, manner: Manner, host: str, port: int
) -> None:
    parameters = await _startup(reader, writer)
    unknown = [name for name in parameters if name.lower() not in KNOWN]
    if unknown and manner is Manner.REFUSES:
        writer.write(_fatal("08P01", f"unsupported startup parameter: {unknown[0]}"))
        await writer.drain()
        return
    to_reader, to_writer = await asyncio.open_connection(host, port)
    try:
        known = {name: value for name, value in parameters.items() if name.lower() in KNOWN}
        body = struct.pack("!i", PROTOCOL) + b"".join(f"{n}\0{v}\0".encode() for n, v in known.items()) + b"\0"
        to_writer.write(struct.pack("!i", len(body) + 4) + body)
        ways = [asyncio.create_task(_pipe(*way)) for way in ((reader, to_writer), (to_reader, writer))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
    finally:
        await _close(to_writer)


async def _startup(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> dict[str, str]:
    while True:
        (length,) = struct.unpack("!i", await reader.readexactly(4))
        body = await reader.readexactly(length - 4)
        if struct.unpack("!i", body[:4])[0] != SSL_REQUEST:
            texts = body[4:].rstrip(b"\0").decode().split("\0")
            return dict(zip(texts[::2], texts[1::2], strict=True))
        writer.write(b"N")


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _fatal(state: str, message: str) -> bytes:
    body = b"".join(
        f"{code}{text}\0".encode() for code, text in zip("SVCM", ("FATAL", "FATAL", state, message), strict=True)
    )
    return b"E" + struct.pack("!i", len(body) + 5) + body + b"\0"
