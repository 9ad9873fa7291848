"""`skyhold watch` on a real service: on a terminal, for programs, and over a restart of the API."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from support.commands import Skyhold
from support.terminals import COLOUR, CONTROL, TIMEOUT_SECONDS, on_terminal

pytestmark = pytest.mark.rest


def test_a_cabin_is_drawn_and_follows_what_others_do(customer: Skyhold) -> None:
    with on_terminal(customer, "watch", "FL102") as (watcher, screen):
        assert "14 A B C   D E F" in CONTROL.sub("", screen.wait_for("mlive"))
        order = json.loads(customer.run("book", "FL102", "14B", "--json").stdout)
        shown = screen.wait_for("14B on hold")
        assert "14 A ~ C   D E F" in CONTROL.sub("", shown)
        assert COLOUR.search(shown)
        customer.run("pay", order["orderId"], typed="99999")
        screen.wait_for("14B taken")
        watcher.send_signal(signal.SIGINT)
        assert watcher.wait(TIMEOUT_SECONDS) == 130
        assert "Traceback" not in screen.shown


def test_without_colours_the_marks_remain(customer: Skyhold) -> None:
    with on_terminal(customer, "watch", "FL102", NO_COLOR="1") as (_, screen):
        assert not COLOUR.search(screen.wait_for(r"\blive\b"))


def test_a_watch_goes_on_where_it_was_when_the_api_is_back(skyhold: Skyhold) -> None:
    service = skyhold.start_service()
    skyhold.surroundings |= {"SKYHOLD_API": service.address, "SERVER_PORT": service.address.rpartition(":")[2]}
    with on_terminal(skyhold, "watch", "FL202") as (watcher, screen):
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
        _, errors = watcher.communicate(timeout=TIMEOUT_SECONDS)
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
