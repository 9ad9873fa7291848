"""The whole product as `skyhold up` starts it, used from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from skyhold.machine.endpoints import Endpoints, read_live_endpoints

ANY_PORTS = ("--port", "0", "--temporal-port", "0", "--temporal-ui-port", "0")
FOREIGN = ("DATABASE_URL", "REDIS_URL", "TEMPORAL_", "SERVER_", "SECRET_KEY", "SKYHOLD_")
READY_WITHIN = 100.0
_ROOT = Path(__file__).parents[2]


@dataclass
class Stack:
    """Consecutive runs of `skyhold up` on one data directory."""

    data_dir: Path
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self, **settings: str) -> Endpoints:
        """Start it with these settings and return its endpoints."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)} | settings
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "skyhold", "up", "--data-dir", str(self.data_dir), *ANY_PORTS],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
            )
        deadline = time.monotonic() + READY_WITHIN
        while (endpoints := read_live_endpoints(self.data_dir)) is None:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)
        return endpoints

    def stop(self) -> int:
        """Stop it as Ctrl-C or a service manager does, and return its exit code."""
        assert self.process is not None
        children = psutil.Process(self.process.pid).children(recursive=True)
        self.process.terminate()
        code = self.process.wait(60)
        assert not psutil.wait_procs(children, timeout=15)[1], "something of it still runs"
        return code

    def kill(self) -> None:
        """Kill all of its processes at once, as a power loss does."""
        assert self.process is not None
        everything = psutil.Process(self.process.pid).children(recursive=True)
        self.process.kill()
        for process in everything:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait(15)
        assert not psutil.wait_procs(everything, timeout=15)[1], "something of it still runs"

    def end(self) -> None:
        """Kill everything, whatever its state."""
        if self.process is not None and self.process.poll() is None:
            self.stop()

    @property
    def log(self) -> Path:
        return self.data_dir.with_suffix(".log")

    @property
    def endpoints(self) -> Endpoints:
        endpoints = read_live_endpoints(self.data_dir)
        assert endpoints is not None, "it is not up"
        return endpoints

    def skyhold(self, *arguments: str, stdin: str = "", module: str = "skyhold") -> subprocess.CompletedProcess[str]:
        """Run a command of Skyhold or a tool of the repository against it, as from another terminal."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        environment["SKYHOLD_STATE_DIR"] = str(self.data_dir.with_suffix(".state"))
        return subprocess.run(
            [sys.executable, "-m", module, *arguments, "--data-dir", str(self.data_dir)],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=environment,
            cwd=_ROOT,
        )

    def json_of(self, *arguments: str, stdin: str = "", module: str = "skyhold") -> Any:
        """Return the JSON that a command prints with --json."""
        done = self.skyhold(*arguments, "--json", stdin=stdin, module=module)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def temporal(self, *arguments: str) -> str:
        """Run Temporal's own command line against it and return the output."""
        program = Path(sys.executable).with_name("temporal")
        done = subprocess.run(
            [program, *arguments, "--address", self.endpoints.temporal],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@contextmanager
def new_stack() -> Iterator[Stack]:
    """Yield a stack that is not started yet; its processes and data are removed at the end."""
    # Other users must be able to pass through: as root, PostgreSQL runs as another user and keeps its data there.
    with tempfile.TemporaryDirectory(prefix="skyhold-journey-") as directory:
        Path(directory).chmod(0o755)
        stack = Stack(Path(directory) / "data")
        try:
            yield stack
        finally:
            stack.end()
