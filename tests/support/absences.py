"""Outages of a server; each function returns the function that ends the outage."""

from __future__ import annotations

from collections.abc import Callable

import psutil

from skyhold_local.embedded.child import Child

Return = Callable[[], None]


def killed(child: Child) -> Return:
    """Kill the server with SIGKILL; it restarts on its port, with its data."""
    child.kill()
    return child.start


def stopped(child: Child) -> Return:
    """Stop the server with SIGSTOP: its connections stay open without answers."""
    # With its children: PostgreSQL has one process for each connection.
    processes = [psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)]
    for process in processes:
        process.suspend()

    def go_on() -> None:
        for process in processes:
            process.resume()

    return go_on
