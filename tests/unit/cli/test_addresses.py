"""Where commands look for servers, and in which order."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from skyhold.cli import addresses
from skyhold.cli.failures import ExitCode, Failure
from skyhold.embedded.endpoints import Endpoints, Pids

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
def live(monkeypatch: pytest.MonkeyPatch) -> dict[Path, Endpoints]:
    """What is up, by its directory; nothing of the machine's environment is seen."""
    live: dict[Path, Endpoints] = {}
    monkeypatch.setattr(addresses, "_read_live", live.get)
    for name in ("SKYHOLD_API", "DATABASE_URL", "REDIS_URL", "TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("TEMPORAL_TASK_QUEUE", "")
    return live


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
