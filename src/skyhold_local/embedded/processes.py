"""Processes: starting one in a session of its own, and stopping several concurrently.

Knows nothing about the servers that they run. A child dies with the *thread* that started it (Linux's definition of a
parent's death): start children from the main thread.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from skyhold_local.embedded.users import ServerUser

_LAUNCHER = Path(__file__).with_name("launch.py")
_POLL_SECONDS = 0.02

AnyProcess = subprocess.Popen[bytes] | psutil.Process


@dataclass(frozen=True)
class StopStep:
    """A signal, and the time that a process gets to react to it."""

    signal: signal.Signals
    seconds: float


def spawn(
    command: Sequence[str | Path],
    *,
    log: Path,
    environment: Mapping[str, str],
    death_signal: signal.Signals,
    user: ServerUser | None = None,
    appears_as: ServerUser | None = None,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    directory: Path | str = "/",
) -> subprocess.Popen[bytes]:
    """Start a command in its own session, so that the terminal's Ctrl-C reaches us alone.

    On Linux the kernel sends it `death_signal` when we die, whatever the cause. Output is appended to the log. With
    `appears_as` it keeps our user id, and is that user in a namespace of its own.
    """
    uid, gid = (str(user.uid), str(user.gid)) if user else ("-", "-")
    if appears_as:
        uid, gid = f"={appears_as.uid}", f"={appears_as.gid}"
    launcher = [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), str(int(death_signal)), uid, gid]
    with log.open("ab") as output:
        return subprocess.Popen(
            [*launcher, *map(str, command)],
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            cwd=directory,
            start_new_session=True,
        )


def is_over(process: AnyProcess) -> bool:
    """Return whether the process has ended; this reaps a child of this process."""
    if isinstance(process, subprocess.Popen):
        return process.poll() is not None
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def stop_together(
    stops: Sequence[tuple[AnyProcess, Sequence[StopStep]]],
    *,
    is_hurried: Callable[[], bool] = lambda: False,
) -> None:
    """Stop processes concurrently, each by its own steps, and return when all are gone.

    Once `is_hurried` is true, every process gets its last signal at once.
    """
    pending = [_Stopping(process, steps) for process, steps in stops]
    while pending := [stopping for stopping in pending if stopping.goes_on(is_hurried=is_hurried())]:
        time.sleep(_POLL_SECONDS)


class _Stopping:
    """The progress of one process through its stop steps."""

    def __init__(self, process: AnyProcess, steps: Sequence[StopStep]) -> None:
        self._process = process
        self._steps = list(steps)
        self._deadline = 0.0

    def goes_on(self, *, is_hurried: bool) -> bool:
        """Take the next step if it is due; return False when the process is gone or no step is left."""
        if is_over(self._process):
            return False
        if is_hurried and self._steps:
            del self._steps[:-1]
            self._deadline = 0.0
        if time.monotonic() < self._deadline:
            return True
        if not self._steps:
            return False
        step = self._steps.pop(0)
        try:
            self._process.send_signal(step.signal)
        except (psutil.NoSuchProcess, ProcessLookupError):
            return False
        self._deadline = time.monotonic() + step.seconds
        return True
