"""Commands with closed or full standard streams or other encodings, as started by scripts, cron and services."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from support.commands import Skyhold
from support.proxy_programs import free_port

pytestmark = pytest.mark.rest

PROGRAM = f"{shlex.quote(sys.executable)} -m skyhold"
FULL = Path("/dev/full")

needs_full = pytest.mark.skipif(not FULL.exists(), reason="this machine has no /dev/full")


def _shell(skyhold: Skyhold, line: str, *, typed: bytes = b"", **variables: str) -> tuple[int, str, str]:
    """Run a shell line in which `skyhold` is the program; return its exit code, stdout and stderr."""
    done = subprocess.run(
        ["/bin/sh", "-c", line.replace("skyhold", PROGRAM)],
        input=typed,
        capture_output=True,
        timeout=60,
        check=False,
        cwd=skyhold.directory,
        env=skyhold.surroundings | variables,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


COMMANDS = {
    "--version": 0,
    "--help": 0,
    "nonsense": 2,
    "up --help": 0,
    "doctor": 0,
    "audit --json": 0,
    "migrate": 0,
    "status absent": 4,
    "watch FL999": 4,
    "cancel absent": 4,
    "pay absent": 2,
}


@pytest.mark.parametrize(("command", "code"), COMMANDS.items())
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_a_closed_stream_changes_nothing_of_how_a_command_ends(
    customer: Skyhold, command: str, code: int, closed: str
) -> None:
    ended, out, err = _shell(customer, f"skyhold {command} {closed}")
    assert ended == code, err
    for said in (out, err):
        assert "should not have happened" not in said
        assert "Traceback" not in said


@needs_full
@pytest.mark.parametrize("command", [command for command, code in COMMANDS.items() if code == 0])
def test_data_that_cannot_be_written_are_a_failure_in_one_line(customer: Skyhold, command: str) -> None:
    ended, _, err = _shell(customer, f"skyhold {command} >/dev/full")
    assert (ended, err.strip().splitlines()[-1]) == (1, "Error: No space left on device. Make room there.")
    assert "Traceback" not in err


@needs_full
@pytest.mark.parametrize(("command", "code"), COMMANDS.items())
def test_messages_that_cannot_be_written_are_lost_and_the_exit_code_says_it(
    customer: Skyhold, command: str, code: int
) -> None:
    ended, _, _ = _shell(customer, f"skyhold {command} 2>/dev/full")
    assert ended == code


@needs_full
def test_services_go_on_without_their_output(skyhold: Skyhold) -> None:
    """As on a full disk with the log."""
    port = free_port()
    skyhold.surroundings["SERVER_PORT"] = str(port)

    def has_a_worker() -> bool:
        return skyhold.run("doctor").returncode == 0

    def has_an_api() -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{port}/livez", trust_env=False).is_success
        return False

    for command, works in (("worker", has_a_worker), ("api", has_an_api)):
        line = f"exec skyhold {command} >/dev/full 2>/dev/full <&-"
        process = subprocess.Popen(
            ["/bin/sh", "-c", line.replace("skyhold", PROGRAM)], cwd=skyhold.directory, env=skyhold.surroundings
        )
        deadline = time.monotonic() + 60
        while not works():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.terminate()
        assert process.wait(30) == 0


def test_a_file_that_is_opened_never_takes_the_place_of_a_closed_stream(customer: Skyhold) -> None:
    ended, _, _ = _shell(customer, "skyhold book FL102 20A >&- 2>&- <&-")
    assert ended == 0
    tokens = list((customer.directory / "state" / "orders").iterdir())
    assert [json.loads(token.read_text())["orderToken"] for token in tokens]


@pytest.mark.parametrize("typed", [b"\xff\xfe99999\n", b"9\xe99999\n", "٩٩٩٩٩".encode("utf-16")])
def test_a_code_that_is_no_utf_8_is_refused_and_not_repeated(customer: Skyhold, typed: bytes) -> None:
    for locale in ("C", "C.UTF-8", "POSIX"):
        ended, out, err = _shell(customer, "skyhold pay absent", typed=typed, LC_ALL=locale, LOG_LEVEL="debug")
        assert (ended, out) == (2, "")
        assert err == "Error: The payment code on standard input is not UTF-8: give 5 digits.\n"


@pytest.mark.parametrize("typed", [b"", b"\n", b"   \n99999\n"])
def test_no_code_at_all_says_how_to_give_one(customer: Skyhold, typed: bytes) -> None:
    ended, _, err = _shell(customer, "skyhold pay absent", typed=typed)
    assert (ended, err) == (2, "Error: Give the payment code as the first line of standard input.\n")


@pytest.mark.parametrize("command", ["status '\\xff'", "watch '\\xff-'", "book '\\xff-' 1A", "book FL101 '\\xff'"])
def test_arguments_that_are_no_utf_8_are_wrong_usage(customer: Skyhold, command: str) -> None:
    line = f"skyhold {command}".replace("'\\xff", '"$(printf "\\377")').replace("'", '"')
    ended, _, err = _shell(customer, line)
    assert ended in {1, 2, 4}
    assert err.startswith("Error: ")
    assert "should not have happened" not in err


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-16"])
def test_characters_that_an_encoding_lacks_are_printed_in_another_way(customer: Skyhold, encoding: str) -> None:
    # Its examples contain an ellipsis.
    done = customer.run("worker", "--help", PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [("TERM", "odd"), ("LC_ALL", "xx_YY.bad"), ("COLUMNS", "many"), ("HOME", "/nowhere"), ("TZ", "Nowhere/Else")],
)
def test_an_odd_surrounding_is_no_reason_to_fail(customer: Skyhold, variable: str, value: str) -> None:
    done = customer.run("doctor", **{variable: value})
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("place", ["/dev/null/x", "/proc/none"])
@pytest.mark.parametrize("variable", ["SKYHOLD_STATE_DIR", "XDG_STATE_HOME"])
def test_a_place_for_tokens_that_cannot_be_used_is_named(customer: Skyhold, variable: str, place: str) -> None:
    surroundings = {name: value for name, value in customer.surroundings.items() if name != "SKYHOLD_STATE_DIR"}
    elsewhere = Skyhold(surroundings | {variable: place}, customer.directory)
    ended = elsewhere.run("book", "FL102", "21A")
    assert ended.returncode == 2
    assert "SKYHOLD_STATE_DIR" in ended.stderr
    assert str(Path(place).parent) in ended.stderr
