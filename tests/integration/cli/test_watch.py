"""`skyhold watch` on a real service: on a terminal, for programs, and over a restart of the API."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from support.commands import Skyhold

_PATIENCE_SECONDS = 40
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_COLOUR = re.compile(r"\x1b\[[0-9;]*\b(3[0-7]|9[0-7])m")


class Screen:
    """What a terminal has shown so far."""

    def __init__(self, terminal: int) -> None:
        self.shown = ""
        self._terminal = terminal

    def wait_for(self, pattern: str) -> str:
        """Return what was shown up to the pattern, which must be soon, and forget it."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not (found := re.search(pattern, self.shown)):
            ready, _, _ = select.select([self._terminal], [], [], deadline - time.monotonic())
            assert ready, f"not shown: {pattern}, but: {_CONTROL.sub('', self.shown)[-3000:]}"
            self.shown += os.read(self._terminal, 65536).decode()
        before, self.shown = self.shown[: found.end()], self.shown[found.end() :]
        return before


@contextlib.contextmanager
def watching(skyhold: Skyhold, *arguments: str, **variables: str) -> Iterator[tuple[subprocess.Popen[bytes], Screen]]:
    """Watch in a terminal of 80 columns and 24 lines."""
    ours, theirs = pty.openpty()
    watcher = subprocess.Popen(
        [sys.executable, "-m", "skyhold", "watch", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=skyhold.directory,
        env=skyhold.surroundings | {"TERM": "xterm", "COLUMNS": "80", "LINES": "24"} | variables,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield watcher, Screen(ours)
    finally:
        watcher.kill()
        watcher.wait(_PATIENCE_SECONDS)
        os.close(ours)


def test_a_cabin_is_drawn_and_follows_what_others_do(customer: Skyhold) -> None:
    with watching(customer, "FL102") as (watcher, screen):
        assert "14 A B C   D E F" in _CONTROL.sub("", screen.wait_for("mlive"))
        order = json.loads(customer.run("book", "FL102", "14B", "--json").stdout)
        shown = screen.wait_for("14B on hold")
        assert "14 A ~ C   D E F" in _CONTROL.sub("", shown)
        assert _COLOUR.search(shown)
        customer.run("pay", order["orderId"], typed="99999")
        screen.wait_for("14B taken")
        watcher.send_signal(signal.SIGINT)
        assert watcher.wait(_PATIENCE_SECONDS) == 130
        assert "Traceback" not in screen.shown


def test_without_colours_the_marks_remain(customer: Skyhold) -> None:
    with watching(customer, "FL102", NO_COLOR="1") as (_, screen):
        assert not _COLOUR.search(screen.wait_for(r"\blive\b"))


def test_a_watch_goes_on_where_it_was_when_the_api_is_back(skyhold: Skyhold) -> None:
    skyhold.surroundings["TEMPORAL_TASK_QUEUE"] += "-watch"
    service = skyhold.start_service()
    skyhold.surroundings |= {"SKYHOLD_API": service.address, "SERVER_PORT": service.address.rpartition(":")[2]}
    with watching(skyhold, "FL202") as (watcher, screen):
        screen.wait_for("mlive")
        service.api.stop()
        screen.wait_for("reconnecting")
        skyhold.start("api").wait_for("API listening on ")
        screen.wait_for("mlive")
        assert skyhold.run("book", "FL202", "7C").returncode == 0
        screen.wait_for("7C on hold")
        assert watcher.poll() is None


@pytest.mark.parametrize("arguments", [("FL102",), ("FL102", "--json")])
def test_programs_get_a_line_of_json_for_each_event(arguments: tuple[str, ...], customer: Skyhold) -> None:
    watcher = subprocess.Popen(
        [sys.executable, "-m", "skyhold", "watch", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=customer.directory,
        env=customer.surroundings,
    )
    assert watcher.stdout is not None
    try:
        snapshot = json.loads(watcher.stdout.readline())
        assert (snapshot["event"], len(snapshot["seats"])) == ("snapshot", 120)
        seat = "3C" if len(arguments) == 1 else "3D"
        assert customer.run("book", "FL102", seat).returncode == 0
        change = json.loads(watcher.stdout.readline())
        assert change["event"] == "seats"
        assert [(each["id"], each["status"]) for each in change["seats"]] == [(seat, "reserved")]
        assert change["id"] != snapshot["id"]
    finally:
        watcher.send_signal(signal.SIGINT)
        _, errors = watcher.communicate(timeout=_PATIENCE_SECONDS)
    assert (watcher.returncode, errors) == (130, "")


@pytest.mark.parametrize(
    ("flight", "code", "words"),
    [("FL999", 4, "No flight of this number"), ("550e8400-e29b-41d4-a716-446655449999", 4, "FLIGHT_NOT_FOUND")],
)
def test_a_flight_that_is_not_there_cannot_be_watched(flight: str, code: int, words: str, customer: Skyhold) -> None:
    ended = customer.run("watch", flight)
    assert (ended.returncode, ended.stdout) == (code, "")
    assert words in ended.stderr


def test_an_api_that_was_never_there_is_not_waited_for(skyhold: Skyhold) -> None:
    assert skyhold.run("watch", "FL101", "--api", "http://127.0.0.1:1").returncode == 3
