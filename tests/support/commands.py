"""`skyhold` as a person or a script runs it: a process with arguments, standard input and output."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

_LONGEST_SECONDS = 60
_ROOT = Path(__file__).parents[2]


@dataclass
class Running:
    """A command that runs until it is stopped."""

    process: subprocess.Popen[str]
    errors: Path
    printed: list[str] = field(default_factory=list)

    def wait_for(self, beginning: str) -> str:
        """Return the first line with this beginning."""
        patience = threading.Timer(_LONGEST_SECONDS, self.process.kill)
        patience.start()
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.printed.append(line.rstrip())
            if line.startswith(beginning):
                patience.cancel()
                return line.rstrip()
        raise AssertionError(f"it ended without saying so: {self.printed} {self.errors.read_text()[-3000:]}")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send it the signal and return its exit code."""
        self.process.send_signal(number)
        code = self.process.wait(_LONGEST_SECONDS)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@dataclass
class Service:
    """A worker and an API as processes."""

    worker: Running
    api: Running
    address: str


@dataclass
class Skyhold:
    """The command line, with these variables and in this directory."""

    surroundings: dict[str, str]
    directory: Path
    started: list[Running] = field(default_factory=list)

    def run(
        self, *arguments: str, typed: str = "", module: str = "skyhold", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, of `skyhold` or of a tool in the repository."""
        own = {} if module == "skyhold" else {"PYTHONPATH": str(_ROOT)}
        return subprocess.run(
            [sys.executable, "-m", module, *arguments],
            input=typed,
            capture_output=True,
            text=True,
            timeout=_LONGEST_SECONDS,
            check=False,
            cwd=self.directory,
            env=self.surroundings | own | variables,
        )

    def run_until(self, code: int, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Retry a command until it exits with this code: on a busy machine servers may answer too late."""
        for _ in range(4):
            if (ended := self.run(*arguments, **variables)).returncode == code:
                break
        return ended

    def start(self, *arguments: str, **variables: str) -> Running:
        """Start a command and leave it running."""
        errors = self.directory / f"{arguments[0]}-{len(self.started)}.err"
        with errors.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "skyhold", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                cwd=self.directory,
                env=self.surroundings | variables,
            )
        running = Running(process, errors)
        self.started.append(running)
        return running

    def start_service(self) -> Service:
        """Start a worker and an API and return when both are ready."""
        worker, api = self.start("worker"), self.start("api")
        worker.wait_for("Worker starting on task queue: ")
        return Service(worker, api, api.wait_for("API listening on ").rpartition(" ")[2])

    def end(self) -> None:
        """Kill all commands that still run."""
        for running in self.started:
            if running.process.poll() is None:
                running.process.kill()
                running.process.wait(_LONGEST_SECONDS)
            if running.process.stdout is not None:
                running.process.stdout.close()
