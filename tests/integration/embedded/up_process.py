"""One run of `skyhold up`, with stand-ins or real, seen from outside."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import psutil

from skyhold.machine.endpoints import Endpoints, read_live_endpoints

_T = TypeVar("_T")
_WITH_STAND_IN = (str(Path(__file__).with_name("up_with_stand_in.py")),)
_ANY_PORTS = ("--port", "0", "--temporal-port", "0", "--temporal-ui-port", "0")
_FOREIGN = ("DATABASE_URL", "REDIS_URL", "TEMPORAL_", "SERVER_", "SECRET_KEY")


def wait_until(question: Callable[[], _T | None], *, seconds: float = 60.0) -> _T:
    """Repeat the query until its result is truthy, and return it."""
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < deadline, f"not so within {seconds} s: {question}"
        time.sleep(0.02)
    return answer


def surroundings(**variables: str) -> dict[str, str]:
    """Return our environment without foreign servers, plus the variables."""
    return {key: value for key, value in os.environ.items() if not key.startswith(_FOREIGN)} | variables


class UpProcess:
    """A started `skyhold up`; its output goes to files beside the data directory."""

    program: tuple[str, ...] = _WITH_STAND_IN

    def __init__(self, data_dir: Path, *arguments: str, **variables: str) -> None:
        self.data_dir = data_dir
        self._out = data_dir.with_name(f"{data_dir.name}.out")
        self._err = data_dir.with_name(f"{data_dir.name}.err")
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, *self.program, "--data-dir", str(data_dir), *_ANY_PORTS, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=surroundings(**variables),
            )
        self.seen: list[psutil.Process] = []

    @property
    def out(self) -> str:
        return self._out.read_text(encoding="utf-8")

    @property
    def err(self) -> str:
        return self._err.read_text(encoding="utf-8")

    def wait_ready(self, *, seconds: float = 60.0) -> Endpoints:
        """Wait until it has published its endpoints, and record its processes."""

        def told() -> Endpoints | None:
            assert self.process.poll() is None, f"it ended with {self.process.returncode}: {self.err}"
            return read_live_endpoints(self.data_dir)

        endpoints = wait_until(told, seconds=seconds)
        self.note_processes()
        return endpoints

    def note_processes(self) -> None:
        """Record all of its current processes, so that none is missed later."""
        self.seen += psutil.Process(self.process.pid).children(recursive=True)

    def file(self) -> dict[str, Any]:
        """Return endpoints.json as a script reads it."""
        value: dict[str, Any] = json.loads((self.data_dir / "endpoints.json").read_text(encoding="utf-8"))
        return value

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal and return its exit code."""
        self.note_processes()
        self.process.send_signal(number)
        return self.process.wait(60)

    def wait_over(self) -> int:
        """Wait until it ends by itself and return its exit code."""
        return self.process.wait(60)

    def kill(self) -> None:
        """Kill it as a crash does."""
        self.note_processes()
        self.process.kill()
        self.process.wait(10)

    def left(self) -> list[psutil.Process]:
        """Return its processes that still run."""
        return [process for process in self.seen if runs(process)]

    def end(self) -> None:
        """Kill its processes that still run."""
        if self.process.poll() is None:
            self.note_processes()
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        for process in self.left():
            process.kill()


def runs(process: psutil.Process) -> bool:
    """Return whether this same process still runs; a zombie does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class RealUpProcess(UpProcess):
    """A started `skyhold up` with nothing replaced."""

    program = ("-m", "skyhold", "up")
