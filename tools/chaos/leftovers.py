"""Our processes: those that we started and their descendants, whatever their parent is now."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from time import monotonic

import psutil

from tools.chaos.environment import MARK

GONE_WITHIN_SECONDS = 5.0
_POLL_SECONDS = 0.2
_POSTGRES = "postgres"


def processes_of(directory: Path) -> list[psutil.Process]:
    """Return the processes with our mark in their environment, and those of PostgreSQL by their working directory.

    PostgreSQL overwrites its environment with its process title.
    """
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and _belongs_to(process, str(directory)):
                found.append(process)
    return found


async def left_over(directory: Path) -> list[str]:
    """Return one line for each process that is left after everything was stopped, and kill it."""
    deadline = monotonic() + GONE_WITHIN_SECONDS
    found = processes_of(directory)
    while found and monotonic() < deadline:
        await asyncio.sleep(_POLL_SECONDS)
        found = processes_of(directory)
    lines = [_line(process) for process in found]
    for process in found:
        with contextlib.suppress(psutil.Error):
            process.kill()
    return lines


def _belongs_to(process: psutil.Process, directory: str) -> bool:
    if process.status() == psutil.STATUS_ZOMBIE:
        return False
    if process.name() == _POSTGRES:
        return process.cwd().startswith(f"{directory}{os.sep}")
    return process.environ().get(MARK) == directory


def _line(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return f"{process.pid} {process.status()} {' '.join(process.cmdline())[:150]}"
    return f"{process.pid} ended only now"
