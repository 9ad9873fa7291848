"""Many open pages: streams on real sockets, read by one thread so cheaply that only the API's cost counts."""

from __future__ import annotations

import selectors
import socket
import time
from typing import Self, cast

HEARD_WITHIN_SECONDS = 20.0


class Crowd:
    """Listeners of one flight, each on a connection of its own."""

    def __init__(self, host: str, port: int, flight_id: str, *, count: int) -> None:
        self._selector = selectors.DefaultSelector()
        asked = f"GET /api/flights/{flight_id}/events HTTP/1.1\r\nHost: bench\r\n\r\n".encode()
        for _ in range(count):
            listener = socket.create_connection((host, port))
            listener.sendall(asked)
            self._selector.register(listener, selectors.EVENT_READ)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for key in list(self._selector.get_map().values()):
            cast("socket.socket", key.fileobj).close()
        self._selector.close()

    def hear(self, mark: bytes) -> list[float]:
        """Return the instants at which the listeners received this, the first one first."""
        waiting = {key.fd: b"" for key in self._selector.get_map().values()}
        heard: list[float] = []
        deadline = time.perf_counter() + HEARD_WITHIN_SECONDS
        while waiting:
            if time.perf_counter() > deadline:
                raise TimeoutError(f"{len(waiting)} listeners have not received it")
            for key, _ in self._selector.select(timeout=1):
                said = cast("socket.socket", key.fileobj).recv(65536)
                if key.fd in waiting and mark in (told := waiting[key.fd] + said):
                    del waiting[key.fd]
                    heard.append(time.perf_counter())
                elif key.fd in waiting:
                    waiting[key.fd] = told
        return heard
