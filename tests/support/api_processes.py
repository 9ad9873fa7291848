"""`skyhold api` as a process of its own, so that tests can measure it, and stop it as a service manager does."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from support.services import SECRET_KEY

READY = "API listening on "


@dataclass
class ApiProcess:
    """A running API."""

    process: subprocess.Popen[str]
    port: int

    @property
    def memory_bytes(self) -> int:
        return int(psutil.Process(self.process.pid).memory_info().rss)


@contextmanager
def api_process(directory: Path, *, database_url: str, redis_url: str, temporal_address: str) -> Iterator[ApiProcess]:
    """Run an API on a free port; it is stopped at the end, whatever its state."""
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "TEMPORAL_ADDRESS": temporal_address,
        "SECRET_KEY": SECRET_KEY,
        "SERVER_PORT": "0",
        "RATE_LIMIT": "off",
    }
    log = directory / "api.log"
    with log.open("a") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "skyhold", "api"], env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True
        )
    killer = threading.Timer(60, process.kill)
    killer.start()
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith(READY), f"the API did not start: {log.read_text()[-2000:]}"
        killer.cancel()
        yield ApiProcess(process, urlsplit(line.removeprefix(READY).strip()).port or 0)
    finally:
        killer.cancel()
        if process.poll() is None:
            process.kill()
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()
