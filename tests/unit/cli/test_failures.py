"""Exit codes and messages of failed commands."""

from __future__ import annotations

import pytest
import typer

from skyhold.cli.failures import ExitCode, Failure, guarded


def _raises(error: BaseException) -> int | None:
    @guarded
    def command() -> None:
        raise error

    with pytest.raises(typer.Exit) as ended:
        command()
    return ended.value.exit_code


def test_a_failure_ends_with_its_code_and_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert _raises(Failure("There is no such thing.", ExitCode.NOT_FOUND)) == 4
    assert capsys.readouterr() == ("", "Error: There is no such thing.\n")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), typer.Abort()])
def test_an_interruption_ends_with_130_and_no_words(error: BaseException, capsys: pytest.CaptureFixture[str]) -> None:
    assert _raises(error) == 130
    assert capsys.readouterr() == ("", "")


def test_a_fault_of_ours_is_one_line_without_what_it_held(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LOG_LEVEL", raising=False)
    assert _raises(RuntimeError("31337")) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "RuntimeError" in said
    assert "31337" not in said


class _Panic(BaseException):
    """Like the panic of a Rust library: not an Exception."""


def test_a_panic_is_one_line_too_and_its_message_is_never_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOG_LEVEL", "debug")
    assert _raises(_Panic("31337")) == 1
    said = capsys.readouterr().err
    assert said.startswith("Error: _Panic: this should not have happened.")
    assert "31337" not in said
