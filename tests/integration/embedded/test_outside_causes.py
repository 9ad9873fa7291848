"""Limits of the machine: `skyhold up` names each in one line with the remedy, and a full disk stops nothing."""

from __future__ import annotations

import errno
import json
import os
import resource
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from integration.embedded.up_process import surroundings
from skyhold_local.embedded.data_directory import DataDirectory
from skyhold_local.embedded.open_files import NEEDED, require_open_files
from skyhold_local.embedded.restarts import KeptAlive
from skyhold_local.embedded.supervisor import Supervisor
from skyhold_local.embedded.valkey import ValkeyServer

pytestmark = pytest.mark.rest


def _up(line: str, *, directory: Path, **variables: str) -> tuple[int, str]:
    """Run a shell line in which `up` is the program; return its exit code and output."""
    ports = "--port 0 --temporal-port 0 --temporal-ui-port 0"
    program = f"{shlex.quote(sys.executable)} -m skyhold up {ports}"
    done = subprocess.run(
        ["/bin/sh", "-c", line.replace("UP", program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=directory,
        env=surroundings(**variables),
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("UP --data-dir /dev/null", "The data directory /dev/null cannot be used"),
        ("UP --data-dir /proc/x/y", "The data directory /proc/x/y cannot be used"),
        ("mkdir gone; cd gone; rmdir ../gone; UP", "change to another one (cd)"),
        (f"ulimit -n {NEEDED - 1}; UP --data-dir data", "raise the limit (ulimit -n)"),
    ],
)
def test_what_is_refused_is_one_line(scratch: Path, line: str, what: str) -> None:
    code, said = _up(line, directory=scratch)
    assert code == 1
    assert said.startswith("Error: ")
    assert what in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "secrets",
    [
        {},
        [],
        {"database_password": "a"},
        {"database_password": 1, "redis_password": "b", "secret_key": "c"},
        {"database_password": "a", "redis_password": "", "secret_key": "c"},
    ],
)
def test_damaged_secrets_are_said_and_never_replaced(scratch: Path, secrets: Any) -> None:
    data = scratch / "data"
    data.mkdir()
    (data / "secrets.json").write_text(json.dumps(secrets))
    code, said = _up("UP --data-dir data", directory=scratch)
    assert code == 1
    assert "secrets.json is lost or damaged" in said
    assert json.loads((data / "secrets.json").read_text()) == secrets


def test_a_limit_of_open_files_that_may_be_raised_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [(100, 10_000)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, limit: limits.append(limit))
    require_open_files()
    assert limits[-1] == (4096, 10_000)


def test_a_child_whose_record_cannot_be_written_runs_once(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk every restart would otherwise leave the previous process behind."""
    directory = DataDirectory.open(scratch / "data", is_ephemeral=True)
    try:
        child = ValkeyServer(directory)
        child.start()
        monkeypatch.setattr("skyhold_local.embedded.child.write_private_json", _no_room)
        child.kill()
        reported: list[str] = []
        kept = KeptAlive(child, report=reported.append, clock=_clock_that_leaps())
        while not kept.tend():
            pass
        assert child.is_running()
        assert not [line for line in reported if "could not" in line]
        assert len(_processes_in(scratch)) == 1
    finally:
        child.stop()
        directory.close()


def _no_room(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _clock_that_leaps() -> Callable[[], float]:
    now = iter(range(0, 1_000_000, 10))
    return lambda: float(next(now))


def _processes_in(folder: Path) -> list[psutil.Process]:
    return [process for process in psutil.Process().children() if Path(process.cwd()).is_relative_to(folder)]


def test_new_pids_that_cannot_be_written_are_written_when_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    class StartedAgain:
        child = None
        launches = iter([True, False, False, False])

        def tend(self) -> bool:
            return next(self.launches)

    attempts: list[bool] = []

    def announce(_: Supervisor) -> None:
        attempts.append(len(attempts) >= 2)
        if not attempts[-1]:
            _no_room()

    said: list[str] = []
    monkeypatch.setattr(Supervisor, "_announce", announce)
    monkeypatch.setattr(Supervisor, "_report", lambda _, line: said.append(line))
    supervisor = object.__new__(Supervisor)
    vars(supervisor).update(_kept=[StartedAgain()], _is_announcement_due=False, _logs_due_at=float("inf"))
    for _ in range(4):
        supervisor._watch()
    assert attempts == [False, False, True]
    assert said == ["endpoints.json cannot be written: No space left on device"]
