"""`skyhold api` on the host and port of its settings."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from skyhold.addresses.listening import open_listener
from support.commands import Skyhold

pytestmark = pytest.mark.rest


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_on_all_addresses_of_ipv6_it_answers_both_families(skyhold: Skyhold) -> None:
    api = skyhold.start("api", SERVER_HOST="::")
    address = api.wait_for("API listening on ").rpartition(" ")[2]
    assert address.startswith("http://[::]:")
    port = address.rpartition(":")[2]
    for host in ("127.0.0.1", "[::1]"):
        assert httpx.get(f"http://{host}:{port}/livez", timeout=10, trust_env=False).status_code == 200
    assert api.stop() == 0


@pytest.mark.parametrize(
    ("host", "what"),
    [("no-such-host.invalid", "its name is not known"), ("192.0.2.1", "not an address of this machine")],
)
def test_a_host_that_is_not_ours_is_a_bad_setting_in_one_line(skyhold: Skyhold, host: str, what: str) -> None:
    done = skyhold.run("api", SERVER_HOST=host)
    assert (done.returncode, done.stdout) == (2, "")
    assert what in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("host", [" ", "127.0.0.1 ", "::ffff:127.0.0.1"])
def test_blanks_and_mapped_addresses_are_what_they_stand_for(skyhold: Skyhold, host: str) -> None:
    api = skyhold.start("api", SERVER_HOST=host)
    assert api.wait_for("API listening on ").startswith("API listening on http://127.0.0.1:")
    assert api.stop() == 0


def test_a_port_that_is_taken_is_said(skyhold: Skyhold) -> None:
    with open_listener("127.0.0.1", 0, backlog=1) as other:
        port = str(other.getsockname()[1])
        done = skyhold.run("api", SERVER_PORT=port)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"port {port}: the port is taken; choose another by SERVER_PORT" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_port_that_this_user_may_not_have_is_said() -> None:
    lowest = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    if lowest.exists() and int(lowest.read_text()) <= 80:
        pytest.skip("any user may have any port here")
    # Imports first: an ordinary user may not be able to read the directory of our Python.
    loaded = "import os, encodings.idna; from skyhold.addresses.listening import open_listener"
    program = f"{loaded}; os.setuid(65534); open_listener('127.0.0.1', 80, backlog=1)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "this user may not have the port; choose one from 1024 on by SERVER_PORT" in done.stderr
