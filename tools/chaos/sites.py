"""One Skyhold of `skyhold up`, restarted after kills as by a service manager. Injects no faults itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import monotonic

import psutil

from skyhold.machine.endpoints import Endpoints, read_live_endpoints
from skyhold_local.embedded.processes import spawn

READY_SECONDS = 120.0
"""A supervisor waits up to 30 s before it restarts a child that died often, and then the child has to load."""

STOP_SECONDS = 60.0

_START_AGAIN_SECONDS = 1.0
_POLL_SECONDS = 0.1
_ANSWER_SECONDS = 5.0
_FOREIGN = ("DATABASE_URL", "REDIS_URL", "TEMPORAL_", "SERVER_", "SECRET_KEY", "SKYHOLD_")


class NotReady(Exception):
    """A Skyhold did not become ready; the message contains its name and its `/readyz`."""


class Site:
    """A data directory and the `skyhold up` that runs on it, restarted when it dies, always on the same ports."""

    def __init__(self, name: str, directory: Path, *, options: tuple[str, ...], variables: Mapping[str, str]) -> None:
        self.name = name
        self.directory = directory
        self.log = directory.with_suffix(".log")
        self.last_endpoints: Endpoints | None = None
        self.starts = 0
        self.exit_code: int | None = None
        self._options = options
        self._variables = variables
        self._process: subprocess.Popen[bytes] | None = None
        self._held_down = 0

    @property
    def endpoints(self) -> Endpoints | None:
        """The endpoints, if it is up and ready."""
        endpoints = read_live_endpoints(self.directory)
        self.last_endpoints = endpoints or self.last_endpoints
        return endpoints

    @property
    def supervisor(self) -> psutil.Process | None:
        """Its supervisor, if it lives."""
        if self._process is None or self._process.poll() is not None:
            return None
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self._process.pid)
        return None

    def child(self, name: str) -> psutil.Process | None:
        """Return a child by its name in `endpoints.json`, if it runs and really is the supervisor's child."""
        endpoints, supervisor = self.endpoints, self.supervisor
        if endpoints is None or supervisor is None:
            return None
        pid = endpoints.pids.workers[0] if name == "worker" else getattr(endpoints.pids, name)
        with contextlib.suppress(psutil.NoSuchProcess):
            child = psutil.Process(pid)
            # The file may be a moment old, and the pid reused by another process.
            return child if child.ppid() == supervisor.pid else None
        return None

    async def keep_up(self) -> None:
        """Start it whenever it does not run, until cancelled."""
        while True:
            if self._held_down == 0 and (self._process is None or self._process.poll() is not None):
                if self._process is not None:
                    await asyncio.sleep(_START_AGAIN_SECONDS)
                self._start()
            await asyncio.sleep(_POLL_SECONDS)

    @contextlib.contextmanager
    def held_down(self) -> Iterator[None]:
        """Do not start it in the block."""
        self._held_down += 1
        try:
            yield
        finally:
            self._held_down -= 1

    async def ready(self, within: float = READY_SECONDS) -> Endpoints:
        """Return the endpoints once all of it is ready.

        Raises:
            NotReady: it is not ready within the time.
        """
        deadline = monotonic() + within
        while True:
            endpoints = self.endpoints
            said = await asyncio.to_thread(_readiness, endpoints.api) if endpoints else {}
            if endpoints and said.get("status") == "ready":
                return endpoints
            if monotonic() > deadline:
                raise NotReady(
                    f"The {self.name} Skyhold is not ready after {within:.0f} s; /readyz: {said or 'no answer'}."
                )
            await asyncio.sleep(_POLL_SECONDS)

    async def stop(self) -> None:
        """Stop it gracefully, or by force if that takes too long; then `exit_code` is set."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.terminate()
        deadline = monotonic() + STOP_SECONDS
        while self._process.poll() is None:
            if monotonic() > deadline:
                self._process.kill()
                self._process.wait()
            await asyncio.sleep(_POLL_SECONDS)
        self.exit_code = self._process.returncode

    def _start(self) -> None:
        self.starts += 1
        self._process = spawn(
            [sys.executable, "-m", "skyhold", "up", "--data-dir", self.directory, *self._options],
            log=self.log,
            environment={**own_environment(), **self._variables},
            # If this process is killed, the supervisor stops all that it started.
            death_signal=signal.SIGTERM,
            directory=Path.cwd(),
        )


def own_environment() -> dict[str, str]:
    """Return our environment without variables that could lead a Skyhold to other servers."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}


def _readiness(api: str) -> dict[str, object]:
    try:
        with urllib.request.urlopen(f"{api}/readyz", timeout=_ANSWER_SECONDS) as reply:  # noqa: S310 - loopback
            said = json.loads(reply.read())
    except urllib.error.HTTPError as refused:
        return {"status": str(refused.code)}
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}
