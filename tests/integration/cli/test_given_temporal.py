"""Messages and exit codes of commands whose configured Temporal refuses them by TLS."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from skyhold_local.embedded.servers import Servers
from support.commands import Skyhold
from support.tls_proxies import Certificates, make_certificates, tls_proxy

pytestmark = pytest.mark.rest

WANTED = "TEMPORAL_TLS_CLIENT_CERT_PATH"
KEY = "TEMPORAL_TLS_CLIENT_KEY_PATH"
LOST = {"TEMPORAL_TLS_SERVER_CA_CERT_PATH": "/nowhere/ca.pem"}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("given"))


@pytest.fixture(scope="module")
def closed(servers: Servers, certificates: Certificates) -> Iterator[dict[str, str]]:
    """The variables of a Temporal that requires client certificates, without one."""
    with tls_proxy(("127.0.0.1", servers.temporal.port), certificates, demands_client=True) as port:
        yield {
            "TEMPORAL_ADDRESS": f"localhost:{port}",
            "TEMPORAL_TLS_SERVER_CA_CERT_PATH": str(certificates.ca),
        }


@pytest.mark.parametrize("command", ["worker", "reconcile", "audit", "doctor"])
def test_a_temporal_that_wants_a_certificate_is_unreachable_and_the_variable_is_named(
    skyhold: Skyhold, closed: dict[str, str], command: str
) -> None:
    done = skyhold.run(command, **closed)
    assert done.returncode == 3, done.stderr
    assert WANTED in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["worker", "reconcile", "audit", "doctor", "api"])
def test_a_certificate_file_that_is_not_there_is_a_bad_setting(
    skyhold: Skyhold, closed: dict[str, str], command: str
) -> None:
    done = skyhold.run(command, **(closed | LOST))
    assert done.returncode == 2, done.stdout + done.stderr
    assert "TEMPORAL_TLS_SERVER_CA_CERT_PATH: No such file or directory" in done.stdout + done.stderr


def test_an_api_starts_without_it_and_says_why_in_its_log_and_its_check(
    skyhold: Skyhold, closed: dict[str, str]
) -> None:
    api = skyhold.start("api", LOG_FORMAT="json", **closed)
    address = api.wait_for("API listening on ").rpartition(" ")[2]
    said = httpx.get(f"{address}/readyz", timeout=10, trust_env=False).json()
    assert said["status"] == "degraded"
    assert WANTED in said["checks"]["temporal"]
    assert api.stop() == 0
    logged = [json.loads(line) for line in api.errors.read_text().splitlines()]
    warned = [line for line in logged if line["event"] == "started without a server"]
    assert [line["check"] for line in warned] == ["temporal"]
    assert WANTED in warned[0]["reason"]


def test_with_what_it_wants_a_worker_runs(skyhold: Skyhold, closed: dict[str, str], certificates: Certificates) -> None:
    files = {WANTED: str(certificates.client), "TEMPORAL_TLS_CLIENT_KEY_PATH": str(certificates.client_key)}
    worker = skyhold.start("worker", **(closed | files))
    assert worker.wait_for("Temporal").endswith("namespace default")
    worker.wait_for("Worker starting on task queue: ")
    assert worker.stop() == 0


def test_a_namespace_that_is_not_there_is_a_bad_setting(skyhold: Skyhold) -> None:
    for command in ("worker", "audit", "reconcile", "doctor"):
        done = skyhold.run(command, TEMPORAL_NAMESPACE="absent")
        assert done.returncode == 2, done.stdout
        assert "temporal operator namespace create --namespace absent" in done.stdout + done.stderr
        assert "Start one with" not in done.stdout


def test_an_api_without_its_namespace_says_so(skyhold: Skyhold) -> None:
    api = skyhold.start("api", TEMPORAL_NAMESPACE="absent")
    address = api.wait_for("API listening on ").rpartition(" ")[2]
    checks = httpx.get(f"{address}/readyz", timeout=10, trust_env=False).json()["checks"]
    assert {checks["temporal"], checks["worker"]} == {
        "unavailable: there is no namespace 'absent' (TEMPORAL_NAMESPACE)"
    }
    assert api.stop() == 0


@pytest.mark.parametrize("command", ["api", "doctor", "worker", "reach TEMPORAL_ADDRESS", "audit", "reconcile"])
@pytest.mark.parametrize("wrong", ["no key", "no certificate", "nonsense for a key", "a name that is none"])
def test_what_no_server_has_a_part_in_is_a_bad_setting(
    skyhold: Skyhold, closed: dict[str, str], certificates: Certificates, command: str, wrong: str
) -> None:
    certificate, key = {WANTED: str(certificates.client)}, {KEY: str(certificates.client_key)}
    given, variable = {
        "no key": (certificate, KEY),
        "no certificate": (key, WANTED),
        "nonsense for a key": (certificate | {KEY: str(certificates.ca)}, KEY),
        "a name that is none": ({"TEMPORAL_TLS_SERVER_NAME": "no name!"}, "TEMPORAL_TLS_SERVER_NAME"),
    }[wrong]
    done = skyhold.run(*command.split(), **(closed | given))
    assert done.returncode == 2, done.stdout + done.stderr
    assert variable in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
