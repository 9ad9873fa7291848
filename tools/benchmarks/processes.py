"""The measured processes: real servers, Skyhold's API and worker, and the floor's, each a process of its own."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from skyhold_local.embedded.ports import free_port
from skyhold_local.embedded.servers import Servers, running_servers

READY_WITHIN_SECONDS = 30.0
STOP_WITHIN_SECONDS = 15.0


@dataclass(frozen=True)
class Bench:
    """The addresses of all processes."""

    servers: Servers
    api: str
    floor: str
    task_queue: str
    floor_queue: str


@contextlib.contextmanager
def running_bench(directory: Path) -> Iterator[Bench]:
    """Start everything, and stop it by pid at the end."""
    with running_servers(directory) as servers, contextlib.ExitStack() as stack:
        variables = {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")} | {
            "DATABASE_URL": servers.database_url,
            "REDIS_URL": servers.redis_url,
            "TEMPORAL_ADDRESS": servers.temporal_address,
            "SECRET_KEY": secrets.token_urlsafe(32),
            "RATE_LIMIT": "off",
            "MAX_HOLDS_PER_GUEST": "1000000",
            "PAYMENT_SIMULATED_LATENCY": "0s",
            "PAYMENT_FAILURE_RATE": "0",
            "LOG_LEVEL": "warning",
        }
        ours = variables | {"SERVER_PORT": str(free_port()), "TEMPORAL_TASK_QUEUE": "booking-queue"}
        floor = variables | {"SERVER_PORT": str(free_port()), "TEMPORAL_TASK_QUEUE": "floor-queue"}
        for command in ("migrate", "seed"):
            subprocess.run([sys.executable, "-m", "skyhold", command], env=ours, check=True, stdout=subprocess.DEVNULL)
        _start(stack, ["-m", "skyhold", "worker"], ours)
        _start(stack, ["-m", "tools.benchmarks.floor", "worker"], floor)
        _start(stack, ["-m", "skyhold", "api"], ours)
        _start(stack, ["-m", "tools.benchmarks.floor", "api"], floor)
        ours_at, floor_at = (f"http://127.0.0.1:{part['SERVER_PORT']}" for part in (ours, floor))
        _wait_until_answered(f"{ours_at}/readyz")
        _wait_until_answered(f"{floor_at}/openapi.json")
        yield Bench(servers, ours_at, floor_at, ours["TEMPORAL_TASK_QUEUE"], floor["TEMPORAL_TASK_QUEUE"])


def _start(stack: contextlib.ExitStack, command: list[str], variables: Mapping[str, str]) -> None:
    process = subprocess.Popen([sys.executable, *command], env=variables, stdout=subprocess.DEVNULL)
    stack.callback(_stop, process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_WITHIN_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_until_answered(address: str) -> None:
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while True:
        try:
            with urllib.request.urlopen(address, timeout=2):  # noqa: S310 - loopback
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
