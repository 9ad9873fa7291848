"""Sources of server addresses for commands, and their order."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from skyhold.cli import addresses
from skyhold.cli.failures import ExitCode, Failure
from skyhold.machine.endpoints import Endpoints, Pids

ASKED = Path("asked")


def _endpoints(name: str) -> Endpoints:
    return Endpoints(
        api=f"http://{name}",
        temporal=f"{name}:7233",
        temporal_ui=None,
        namespace="default",
        task_queue=f"queue-of-{name}",
        database_url=f"postgresql://{name}",
        redis_url=f"redis://{name}",
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        pids=Pids(1, None, None, None, 2, (3,)),
    )


@pytest.fixture(autouse=True)
def live(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[Path, Endpoints]]:
    """Running stacks by directory; the machine's environment is hidden during the test."""
    live: dict[Path, Endpoints] = {}
    before = dict(os.environ)
    monkeypatch.setattr(addresses, "read_live_endpoints", live.get)
    for name in ("SKYHOLD_API", "DATABASE_URL", "REDIS_URL", "TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("TEMPORAL_TASK_QUEUE", "")
    yield live
    os.environ.clear()
    os.environ.update(before)


def test_an_address_that_is_given_goes_before_everything(
    live: dict[Path, Endpoints], monkeypatch: pytest.MonkeyPatch
) -> None:
    live[ASKED] = _endpoints("asked")
    monkeypatch.setenv("SKYHOLD_API", "http://environment")
    assert addresses.find_api("http://given", ASKED) == "http://given"


def test_a_directory_that_is_asked_for_goes_before_the_environment(
    live: dict[Path, Endpoints], monkeypatch: pytest.MonkeyPatch
) -> None:
    live[ASKED] = _endpoints("asked")
    monkeypatch.setenv("SKYHOLD_API", "http://environment")
    monkeypatch.setenv("DATABASE_URL", "postgresql://environment")
    assert addresses.find_api(None, ASKED) == "http://asked"
    addresses.adopt_servers(ASKED)
    assert os.environ["DATABASE_URL"] == "postgresql://asked"


def test_the_environment_goes_before_what_happens_to_be_up_here(
    live: dict[Path, Endpoints], monkeypatch: pytest.MonkeyPatch
) -> None:
    live[addresses.DEFAULT_DATA_DIR] = _endpoints("here")
    monkeypatch.setenv("SKYHOLD_API", "http://environment")
    monkeypatch.setenv("DATABASE_URL", "postgresql://environment")
    assert addresses.find_api(None, None) == "http://environment"
    addresses.adopt_servers(None)
    assert os.environ["DATABASE_URL"] == "postgresql://environment"
    assert os.environ["REDIS_URL"] == "redis://here"
    assert os.environ["TEMPORAL_TASK_QUEUE"] == "queue-of-here"


def test_what_is_up_here_is_used_when_nothing_else_is_said(live: dict[Path, Endpoints]) -> None:
    live[addresses.DEFAULT_DATA_DIR] = _endpoints("here")
    assert addresses.find_api(None, None) == "http://here"


def test_nothing_up_in_a_directory_that_is_asked_for_is_a_failure() -> None:
    for look in (lambda: addresses.find_api(None, ASKED), lambda: addresses.adopt_servers(ASKED)):
        with pytest.raises(Failure) as failed:
            look()
        assert failed.value.exit_code is ExitCode.UNREACHABLE


def test_nothing_said_anywhere_is_wrong_usage() -> None:
    with pytest.raises(Failure) as failed:
        addresses.find_api(None, None)
    assert failed.value.exit_code is ExitCode.USAGE


def _with_pids(endpoints: Endpoints, *, postgres: int | None, redis: int | None, temporal: int | None) -> Endpoints:
    return replace(endpoints, pids=Pids(1, postgres, redis, temporal, 2, (3,)))


FOREIGN = {
    "TEMPORAL_API_KEY": "theirs",
    "TEMPORAL_PROFILE": "theirs",
    "TEMPORAL_TLS_CLIENT_CERT_PATH": "/theirs",
    "TEMPORAL_CONFIG_FILE": "/theirs",
}


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**FOREIGN, "HTTP_PROXY": "http://theirs", "PGHOST": "theirs"}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("foreign")
@pytest.mark.parametrize("where", [ASKED, None])
def test_nothing_of_another_temporal_reaches_ours(live: dict[Path, Endpoints], where: Path | None) -> None:
    live[where or addresses.DEFAULT_DATA_DIR] = _with_pids(_endpoints("ours"), postgres=1, redis=2, temporal=3)
    addresses.adopt_servers(where)
    left = {name: os.environ[name] for name in FOREIGN if name in os.environ}
    assert left == {"TEMPORAL_CONFIG_FILE": os.devnull}
    assert "HTTP_PROXY" not in os.environ
    assert os.environ["TEMPORAL_ADDRESS"] == "ours:7233"
    assert os.environ["TEMPORAL_NAMESPACE"] == "default"


@pytest.mark.usefixtures("foreign")
def test_a_given_temporal_keeps_its_variables_and_gets_none_of_ours(
    live: dict[Path, Endpoints], monkeypatch: pytest.MonkeyPatch
) -> None:
    live[addresses.DEFAULT_DATA_DIR] = _with_pids(_endpoints("ours"), postgres=1, redis=2, temporal=3)
    monkeypatch.setenv("TEMPORAL_ADDRESS", "theirs:7233")
    addresses.adopt_servers(None)
    assert {name: os.environ.get(name) for name in FOREIGN} == FOREIGN
    assert os.environ["TEMPORAL_ADDRESS"] == "theirs:7233"
    assert not os.environ.get("TEMPORAL_NAMESPACE")
    assert os.environ["DATABASE_URL"] == "postgresql://ours"


@pytest.mark.usefixtures("foreign")
def test_a_temporal_that_was_given_to_skyhold_up_keeps_the_variables_of_the_shell(live: dict[Path, Endpoints]) -> None:
    live[ASKED] = _with_pids(_endpoints("theirs"), postgres=1, redis=2, temporal=None)
    addresses.adopt_servers(ASKED)
    assert {name: os.environ.get(name) for name in FOREIGN} == FOREIGN
    assert os.environ["TEMPORAL_ADDRESS"] == "theirs:7233"
    assert os.environ["HTTP_PROXY"] == "http://theirs"


@pytest.mark.parametrize(
    ("address", "is_far"),
    [
        ("http://localhost:8080", False),
        ("http://127.0.0.1:8080", False),
        ("http://[::1]:8080", False),
        ("http://192.0.2.1:8080", True),
        ("https://api.example", True),
    ],
)
def test_proxies_have_no_business_on_this_machine(address: str, is_far: bool) -> None:
    assert addresses.uses_proxies(address) is is_far


def test_nor_at_an_address_of_its_own_network() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing; only chooses the source address
        except OSError:
            pytest.skip("this machine has no network")
        own = probe.getsockname()[0]
    assert not addresses.uses_proxies(f"http://{own}:8080")


@pytest.mark.parametrize(
    "address", ["http://me:QX7QX/JW9JW@api", "api:8080", "ftp://api", "http://a,b", "http://api?QX7QX=1"]
)
def test_an_address_of_an_api_that_cannot_be_meant_is_refused_and_not_repeated(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYHOLD_API", address)
    for given, name in ((address, "--api"), (None, "SKYHOLD_API")):
        with pytest.raises(Failure) as failed:
            addresses.find_api(given, None)
        assert failed.value.exit_code is ExitCode.USAGE
        assert str(failed.value).startswith(f"{name}: ")
        assert "QX7QX" not in str(failed.value)
