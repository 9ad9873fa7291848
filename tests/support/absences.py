"""Ways for a server to be away, each giving the way to bring it back."""

from __future__ import annotations

from collections.abc import Callable

import psutil

from skyhold_local.embedded.child import Child

Return = Callable[[], None]


def killed(child: Child) -> Return:
    """Kill the server as kill -9 does; it comes back on its port, with its data."""
    child.kill()
    return child.start


def stopped(child: Child) -> Return:
    """Stop the server without ending it: its connections stay open and nobody answers."""
    # With its own children: PostgreSQL is one process for each connection.
    processes = [psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)]
    for process in processes:
        process.suspend()

    def go_on() -> None:
        for process in processes:
            process.resume()

    return go_on
