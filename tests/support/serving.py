"""The API on a port of its own, with a worker, in a thread: for tools that use the network."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator

from skyhold.bootstrap.api import open_api
from skyhold.bootstrap.workers import open_worker
from skyhold.settings import Settings
from skyhold.web.edge.server import Server, server_of

START_SECONDS = 60.0
STOP_SECONDS = 20.0


@contextlib.contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """Serve for a block of code and yield the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ready = threading.Event()
        servers: list[Server] = []

        async def serve() -> None:
            async with open_worker(settings) as running, running.worker, open_api(settings) as app:
                servers.append(server_of(app))
                ready.set()
                await servers[0].serve(sockets=[listener])

        thread = threading.Thread(target=asyncio.run, args=(serve(),), name="serving")
        thread.start()
        try:
            assert ready.wait(START_SECONDS), "the API did not start"
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            if servers:
                servers[0].should_exit = True
            thread.join(STOP_SECONDS)
