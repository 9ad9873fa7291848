"""The link: data that are passed, delayed, stalled, reset or unanswered, and normal again afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

import pytest

from tools.chaos.proxy import Address, Link

WITHIN = 10.0


class Echo:
    """A server that echoes and records its input."""

    def __init__(self) -> None:
        self.address: Address | None = None
        self.heard: list[bytes] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.read(1024):
                self.heard.append(line)
                writer.write(line)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def a_link() -> AsyncIterator[tuple[Link, Echo]]:
    echo = Echo()
    server = await asyncio.start_server(echo.answer, "127.0.0.1", 0)
    echo.address = server.sockets[0].getsockname()[:2]
    link = Link(lambda: echo.address)
    await link.open()
    try:
        yield link, echo
    finally:
        await link.close()
        server.close()


class Caller:
    """A client with a connection over the link."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, words: bytes) -> None:
        self.writer.write(words)
        await self.writer.drain()

    async def hear(self, within: float = WITHIN) -> bytes:
        async with asyncio.timeout(within):
            return await self.reader.read(1024)

    async def ask(self, words: bytes) -> bytes:
        await self.say(words)
        return await self.hear()

    async def is_cut(self) -> bool:
        try:
            return await self.hear() == b""
        except ConnectionResetError:
            return True


@asynccontextmanager
async def calling(link: Link) -> AsyncIterator[Caller]:
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    try:
        yield Caller(reader, writer)
    finally:
        writer.transport.abort()


async def test_what_is_said_passes_both_ways() -> None:
    async with a_link() as (link, _), calling(link) as caller:
        assert await caller.ask(b"one") == b"one"
        assert await caller.ask(b"two") == b"two"


async def test_who_ends_a_connection_hears_its_end() -> None:
    async with a_link() as (link, _), calling(link) as caller:
        assert await caller.ask(b"one") == b"one"
        caller.writer.write_eof()
        assert await caller.hear() == b""


async def test_a_delayed_link_is_late_in_both_directions_and_keeps_the_order() -> None:
    async with a_link() as (link, _), calling(link) as caller:
        with link.delayed(0.1):
            asked_at = monotonic()
            assert await caller.ask(b"one") == b"one"
            assert monotonic() - asked_at >= 0.2
            await caller.say(b"late ")
        await caller.say(b"early")
        heard = b""
        while len(heard) < len(b"late early"):
            heard += await caller.hear()
        assert heard == b"late early"


async def test_nothing_passes_a_stalled_link_until_it_flows_again() -> None:
    async with a_link() as (link, echo), calling(link) as caller:
        with link.stalled():
            with link.stalled():
                await caller.say(b"one")
            with pytest.raises(TimeoutError):
                await caller.hear(within=0.2)
            assert echo.heard == []
        assert await caller.hear() == b"one"


async def test_a_refused_link_cuts_what_is_there_and_takes_nobody_new() -> None:
    async with a_link() as (link, echo), calling(link) as caller:
        assert await caller.ask(b"one") == b"one"
        with link.refused():
            assert await caller.is_cut()
            async with calling(link) as another:
                assert await another.is_cut()
        async with calling(link) as later:
            assert await later.ask(b"two") == b"two"
        assert echo.heard == [b"one", b"two"]


async def test_a_reset_is_heard_as_one_and_the_next_connection_is_well() -> None:
    async with a_link() as (link, _), calling(link) as caller:
        assert await caller.ask(b"one") == b"one"
        assert link.reset() == 2
        with pytest.raises(ConnectionResetError):
            await caller.hear()
        async with calling(link) as later:
            assert await later.ask(b"two") == b"two"


async def test_over_a_deaf_link_what_is_asked_is_done_and_never_answered() -> None:
    async with a_link() as (link, echo):
        async with calling(link) as caller:
            with link.dropping_replies():
                await caller.say(b"one")
                assert await caller.is_cut()
        assert echo.heard == [b"one"]
        async with calling(link) as later:
            assert await later.ask(b"two") == b"two"


async def test_a_server_that_is_nowhere_is_no_server() -> None:
    async with a_link() as (link, echo):
        address, echo.address = echo.address, None
        async with calling(link) as caller:
            assert await caller.is_cut()
        echo.address = address
        async with calling(link) as later:
            assert await later.ask(b"one") == b"one"


async def test_a_closed_link_leaves_no_connection() -> None:
    async with a_link() as (link, _), calling(link) as caller:
        assert await caller.ask(b"one") == b"one"
        await link.close()
        assert await caller.is_cut()
        with pytest.raises(OSError, match="Connect"):
            await asyncio.open_connection("127.0.0.1", link.port)
