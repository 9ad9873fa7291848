"""The command line without any server: names, help, version."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

import skyhold
from skyhold.cli.app import app

COMMANDS = ("up", "doctor", "book", "pay", "status", "cancel", "watch", "simulate", "worker", "api", "migrate", "seed")


def test_the_version_is_told() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"skyhold {skyhold.__version__}\n")


def test_help_names_every_command() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    for command in COMMANDS:
        assert f" {command} " in result.output


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "100", "NO_COLOR": "1"})
    assert result.exit_code == 0
    assert "Usage: " in result.output


def test_a_command_that_is_not_known_is_wrong_usage() -> None:
    assert CliRunner().invoke(app, ["fly"]).exit_code == 2
