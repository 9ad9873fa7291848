"""`skyhold up` and every command that uses its servers, in a shell and a home configured for other servers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.embedded.up_process import RealUpProcess
from support.foreign_shells import VARIABLES, shell

pytestmark = pytest.mark.rest

COMMANDS = [
    *(("migrate",), ("seed",), ("doctor", "--json"), ("audit",), ("reconcile",)),
    ("simulate", "--customers", "2", "--for", "1s", "--pace", "20"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def variables(home: Path) -> dict[str, str]:
    return shell(home)


@pytest.fixture(scope="module")
def up(passable_path: Path, variables: dict[str, str]) -> Iterator[RealUpProcess]:
    """A `skyhold up` in such a shell, in the default directory of commands."""
    up = RealUpProcess(
        passable_path / ".skyhold", **{name: variables[name] for name in (*VARIABLES, "HOME", "XDG_CONFIG_HOME")}
    )
    up.wait_ready()
    yield up
    up.end()


def _run(up: RealUpProcess, variables: dict[str, str], *arguments: str, typed: str = "") -> str:
    done = subprocess.run(
        [sys.executable, "-m", "skyhold", *arguments],
        input=typed,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=up.data_dir.parent,
        env=variables,
    )
    assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize("where", ["by default", "--data-dir"])
def test_a_command_reaches_our_servers(
    up: RealUpProcess, variables: dict[str, str], command: tuple[str, ...], where: str
) -> None:
    _run(up, variables, *command, *([where, str(up.data_dir)] if where.startswith("--") else []))


def test_a_booking_is_made_and_paid(up: RealUpProcess, variables: dict[str, str]) -> None:
    order = json.loads(_run(up, variables, "book", "FL101", "1A", "--json"))
    paid = json.loads(_run(up, variables, "pay", order["orderId"], "--json", typed="99999\n"))
    assert paid["status"] == "CONFIRMED"


def test_no_process_of_ours_has_what_is_meant_for_others(up: RealUpProcess) -> None:
    up.note_processes()
    for process in up.seen:
        if not process.is_running():
            continue
        theirs = process.environ().keys() & VARIABLES.keys()
        assert theirs <= {"TEMPORAL_CONFIG_FILE", "LD_LIBRARY_PATH", "GODEBUG", "OPENSSL_CONF"} | _otel(), (
            process.cmdline()
        )
        assert process.environ().get("TEMPORAL_CONFIG_FILE") != VARIABLES["TEMPORAL_CONFIG_FILE"]


def _otel() -> set[str]:
    return {name for name in VARIABLES if name.startswith("OTEL_")}
