"""Commands in a shell with variables that are not UTF-8, from an old locale or an old file name."""

from __future__ import annotations

import os

import pytest

from support.commands import Skyhold

pytestmark = pytest.mark.rest

NOT_UTF8 = os.fsdecode(b"\xff")
"""Python's replacement for a byte that is not UTF-8; a child process gets that byte."""

COMMANDS = {
    "doctor": 1,  # no worker runs
    "audit": 0,
    "migrate": 0,
    "seed": 0,
    "reach TEMPORAL_ADDRESS DATABASE_URL REDIS_URL": 0,
    "reconcile --adopt absent": 4,
    "status absent": 2,
    "--help": 0,
}

FOREIGN = {"FOO": NOT_UTF8, "caf\udce9": "x", "PGPASSWORD": NOT_UTF8, "HOME": f"/nowhere/{NOT_UTF8}"}


@pytest.mark.parametrize(("command", "code"), COMMANDS.items())
def test_a_foreign_variable_changes_nothing_of_how_a_command_ends(skyhold: Skyhold, command: str, code: int) -> None:
    done = skyhold.run(*command.split(), **FOREIGN)
    assert done.returncode == code, done.stderr
    assert "panicked" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("command", "line"), [("worker", "Worker starting"), ("api", "API listening")])
def test_a_service_runs_beside_a_foreign_variable(skyhold: Skyhold, command: str, line: str) -> None:
    service = skyhold.start(command, **FOREIGN)
    service.wait_for(line)
    assert service.stop() == 0
    assert "panicked" not in service.errors.read_text()


def test_a_foreign_variable_is_no_panic(skyhold: Skyhold) -> None:
    done = skyhold.run("reach", "TEMPORAL_ADDRESS", **FOREIGN)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "command", ["worker", "api", "audit", "reconcile", "doctor", "reach REDIS_URL", "migrate", "up"]
)
@pytest.mark.parametrize("level", ["info", "debug"])
def test_a_setting_is_refused_by_its_name_and_its_value_is_not_shown(
    skyhold: Skyhold, command: str, level: str
) -> None:
    done = skyhold.run(*command.split(), REDIS_URL=f"redis://:topsecret{NOT_UTF8}@127.0.0.1", LOG_LEVEL=level)
    said = done.stdout + done.stderr
    assert done.returncode == 2, said
    assert "REDIS_URL: has characters that are not UTF-8" in said
    assert "topsecret" not in said


@pytest.mark.parametrize(
    "name", ["TEMPORAL_API_KEY", "TEMPORAL_TLS_CLIENT_KEY_DATA", "TEMPORAL_GRPC_META_X", "SECRET_KEY"]
)
@pytest.mark.parametrize("command", ["worker", "api", "audit", "reconcile", "doctor", "reach TEMPORAL_ADDRESS"])
def test_and_so_is_one_of_temporals(skyhold: Skyhold, command: str, name: str) -> None:
    done = skyhold.run(*command.split(), **{name: f"topsecret{NOT_UTF8}"})
    said = done.stdout + done.stderr
    assert done.returncode == 2, said
    assert f"{name}: has characters that are not UTF-8" in said
    assert "topsecret" not in said


@pytest.mark.parametrize("name", ["SKYHOLD_API", "SKYHOLD_ORDER_TOKEN"])
def test_what_a_customer_sets_is_refused_by_its_name(skyhold: Skyhold, name: str) -> None:
    done = skyhold.run(
        "status", "absent", **{"SKYHOLD_API": "http://127.0.0.1:1", name: f"http://top:secret{NOT_UTF8}"}
    )
    assert done.returncode == 2, done.stderr
    assert name in done.stderr
    assert "secret" not in done.stderr
