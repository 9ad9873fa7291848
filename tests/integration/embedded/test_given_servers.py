"""`skyhold up` over unusable servers given by address: it fails at once, before it starts anything."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from integration.embedded.up_process import RealUpProcess, UpProcess
from skyhold_local.embedded.servers import Servers
from support.tls_proxies import make_certificates, tls_proxy

pytestmark = pytest.mark.rest

NOBODY = "127.0.0.1:1"


def _refused(ups: list[UpProcess], scratch: Path, **variables: str) -> tuple[int, str]:
    """Return the exit code and the last line of a run that must not start anything."""
    up = RealUpProcess(scratch / "data", **variables)
    ups.append(up)
    code = up.wait_over()
    assert up.out == ""
    assert "Starting" not in up.err
    assert sorted(log.name for log in (scratch / "data" / "logs").iterdir()) == ["reach.log", "supervisor.log"]
    assert not psutil.pid_exists(up.process.pid)
    return code, up.err.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("variable", "address", "what"),
    [
        ("DATABASE_URL", f"postgresql://me:hunter2@{NOBODY}/skyhold", f"PostgreSQL at {NOBODY}/skyhold"),
        ("REDIS_URL", f"redis://:hunter2@{NOBODY}/0", f"Redis at {NOBODY}/0"),
        ("TEMPORAL_ADDRESS", NOBODY, f"Temporal at {NOBODY} cannot be reached: nothing listens there"),
    ],
)
def test_a_server_that_is_not_there_ends_it_with_3(
    scratch: Path, ups: list[UpProcess], variable: str, address: str, what: str
) -> None:
    code, line = _refused(ups, scratch, **{variable: address})
    assert code == 3
    assert line.startswith(f"Error: {what}")
    assert variable in line
    assert "hunter2" not in line


@pytest.mark.parametrize(
    ("variable", "address", "what"),
    [
        ("DATABASE_URL", "postgresql://me:hunter/2@db/skyhold", "%2F"),
        ("REDIS_URL", "redis://cache?socket_timeout=hunter2", "socket_timeout"),
        ("TEMPORAL_ADDRESS", "https://me:hunter2@temporal", "host:port"),
    ],
)
def test_an_address_that_cannot_be_meant_ends_it_with_2(
    scratch: Path, ups: list[UpProcess], variable: str, address: str, what: str
) -> None:
    code, line = _refused(ups, scratch, **{variable: address})
    assert code == 2
    assert line.startswith(f"Error: {variable}: ")
    assert what in line
    assert "hunter2" not in line


def test_a_namespace_that_is_not_there_comes_with_the_command_that_makes_it(
    scratch: Path, ups: list[UpProcess], servers: Servers
) -> None:
    given = {"TEMPORAL_ADDRESS": servers.temporal_address, "TEMPORAL_NAMESPACE": "absent"}
    code, line = _refused(ups, scratch, **given)
    assert code == 2
    assert f"temporal operator namespace create --namespace absent --address {servers.temporal_address}" in line


def test_a_temporal_behind_tls_that_does_not_let_us_in_says_what_it_wants(
    scratch: Path, ups: list[UpProcess], servers: Servers, tmp_path: Path
) -> None:
    certificates = make_certificates(tmp_path)
    with tls_proxy(("127.0.0.1", servers.temporal.port), certificates, demands_client=True) as port:
        given = {
            "TEMPORAL_ADDRESS": f"localhost:{port}",
            "TEMPORAL_TLS_SERVER_CA_CERT_PATH": str(certificates.ca),
            "TEMPORAL_CONFIG_FILE": "/dev/null",
        }
        code, line = _refused(ups, scratch, **given)
    assert code == 3
    assert "TEMPORAL_TLS_CLIENT_CERT_PATH" in line
