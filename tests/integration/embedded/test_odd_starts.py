"""`skyhold up` started by scripts and services: closed or full streams, all addresses, unusable addresses."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from integration.embedded.up_process import RealUpProcess, UpProcess, surroundings, wait_until
from skyhold.machine.endpoints import read_live_endpoints

pytestmark = pytest.mark.rest


@pytest.mark.parametrize("streams", [">&- 2>&- <&-", ">/dev/full 2>/dev/full </dev/null"])
def test_closed_or_full_streams_keep_nothing_from_running(scratch: Path, streams: str) -> None:
    data = scratch / "data"
    ports = "--port 0 --temporal-port 0 --temporal-ui-port 0"
    host = "::" if socket.has_dualstack_ipv6() else "127.0.0.1"
    line = f"exec {shlex.quote(sys.executable)} -m skyhold up --data-dir {data} {ports} {streams}"
    up = subprocess.Popen(["/bin/sh", "-c", line], env=surroundings(SERVER_HOST=host))
    try:
        wait_until(lambda: read_live_endpoints(data) or up.poll() is not None)
        endpoints = read_live_endpoints(data)
        assert endpoints is not None, f"it ended with {up.returncode}"
        # The number of a closed stream would be reused by the next opened file: a lock, a secret, a connection.
        assert json.loads((data / "supervisor.lock").read_text())["pid"] == up.pid
        assert set(json.loads((data / "secrets.json").read_text())) >= {"database_password"}
        assert endpoints.api.startswith("http://127.0.0.1:")
        assert httpx.get(f"{endpoints.api}/readyz", timeout=10, trust_env=False).json()["status"] == "ready"
        children = psutil.Process(up.pid).children(recursive=True)
    finally:
        up.send_signal(signal.SIGTERM)
        code = up.wait(60)
    assert code == 0
    assert not psutil.wait_procs(children, timeout=15)[1]


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1"])
def test_a_host_that_is_not_ours_is_said_before_anything_is_started(
    scratch: Path, ups: list[UpProcess], host: str
) -> None:
    up = UpProcess(scratch / "data", SERVER_HOST=host)
    ups.append(up)
    assert up.wait_over() == 2
    assert up.err.startswith("Error: SERVER_HOST, SERVER_PORT: cannot listen on")
    assert up.err.count("\n") == 1


@pytest.mark.parametrize("is_open", [True, False])
def test_neither_variables_nor_directories_have_to_be_utf8(
    scratch: Path, ups: list[UpProcess], *, is_open: bool
) -> None:
    """A directory that an unprivileged user cannot pass through contains a file that names the servers' state."""
    odd = scratch / "caf\udce9"
    odd.mkdir(mode=0o711 if is_open else 0o700)
    try:
        for _ in range(2):
            up = RealUpProcess(odd / "data", FOO="caf\udce9", PGPASSWORD="\udcff", TEMPORAL_API_KEY="\udcff")
            ups.append(up)
            up.wait_ready()
            assert up.stop() == 0
            assert "panicked" not in up.err
    finally:
        if (elsewhere := odd / "data" / "server-state").exists():
            shutil.rmtree(os.fsdecode(elsewhere.read_bytes()).strip())
