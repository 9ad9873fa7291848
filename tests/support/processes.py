"""Workers as processes of their own, so that tests can kill, stop and continue them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

READY = "Worker starting on task queue"


@dataclass
class WorkerProcess:
    """`skyhold worker` with these settings."""

    environment: dict[str, str]
    log: Path
    process: subprocess.Popen[str] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start it and return when it is ready."""
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "skyhold", "worker"],
                env={**os.environ, **self.environment},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        killer = threading.Timer(60, self.process.kill)
        killer.start()
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(READY):
                killer.cancel()
                return
        raise AssertionError(f"the worker did not start: {self.log.read_text()[-2000:]}")

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self._signal(signal.SIGKILL)
        self._wait()

    def stop(self) -> None:
        """Stop it at once with SIGSTOP."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Continue it with SIGCONT."""
        self._signal(signal.SIGCONT)

    def end(self) -> None:
        """Kill it, whatever its state."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def _signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def _wait(self) -> None:
        assert self.process is not None
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextmanager
def worker_processes(directory: Path, count: int, environment: dict[str, str]) -> Iterator[list[WorkerProcess]]:
    """Yield workers that are not started yet; those that run at the end are killed."""
    workers = [WorkerProcess(environment, directory / f"worker-{number}.log") for number in range(count)]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.end()
