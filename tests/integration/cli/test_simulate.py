"""`skyhold simulate` on a real service: its outcomes, how it stops, and an API that restarts under it."""

from __future__ import annotations

import json
import re
import signal
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from skyhold_local.cli.verdicts import audit_behind
from support.commands import Service, Skyhold
from support.terminals import CONTROL, TIMEOUT_SECONDS, on_terminal

pytestmark = pytest.mark.rest


def seats_of(service: Service, number: str) -> Counter[str]:
    """Count the seats of a flight by status."""
    with httpx.Client(base_url=service.address, trust_env=False) as api:
        flights = api.get("/api/flights").json()["flights"]
        flight_id = next(flight["id"] for flight in flights if flight["flightNumber"] == number)
        seats = api.get(f"/api/flights/{flight_id}").json()["seatMap"]["seats"]
    return Counter(seat["status"] for seat in seats)


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until the condition is true, with a short timeout."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_crowd_tells_what_came_of_it_and_holds_nothing_at_its_end(customer: Skyhold, service: Service) -> None:
    before = seats_of(service, "FL201") + seats_of(service, "FL202")

    done = customer.run(
        *("simulate", "--customers", "12", "--flight", "FL201", "--flight", "fl202"),
        *("--for", "4s", "--pace", "6", "--seed", "11", "--json"),
    )

    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert (told["customers"], told["seed"], told["pace"], told["closing"]) == (12, 11, 6.0, "timeOver")
    assert told["flights"] == ["FL201", "FL202"]
    orders = told["orders"]
    assert orders["made"] == sum(orders.values()) - orders["made"] > 0
    assert orders["confirmed"] > 0
    assert orders["open"] == told["violations"]["count"] == 0
    for act in ("hold", "payment"):
        assert 0 < told["latencies"][act]["p50Ms"] <= told["latencies"][act]["p99Ms"]
    assert told["latencies"]["hold"]["count"] == orders["made"]
    assert told["audit"] == {"audited": True, "unchecked": {}, "findings": []}
    seats = seats_of(service, "FL201") + seats_of(service, "FL202")
    assert (seats["booked"] - before["booked"], seats["reserved"]) == (told["seatsSold"], 0)
    assert "12 customers on FL201 FL202 at http://" in done.stderr
    assert re.search(r"seed 11\b", done.stderr)


def test_a_person_gets_a_table(customer: Skyhold) -> None:
    done = customer.run("simulate", "--customers", "3", "--flight", "FL202", "--for", "1s", "--pace", "20")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^Orders +\d+", done.stdout)
    assert re.search(
        r"^Answered +times +p50 ms +p99 ms +max ms +max with queue\nhold +\d+( +[\d.]+){4}$", done.stdout, re.MULTILINE
    )


def test_forbidden_requests_are_rejected_and_flaky_lines_get_one_outcome(customer: Skyhold, service: Service) -> None:
    before = seats_of(service, "SK900")["booked"]

    done = customer.run(
        *("--customers", "30", "--flight", "SK900", "--for", "4s", "--pace", "8", "--seed", "5"),
        *("--forbidden", "70", "--flaky", "70", "--json"),
        module="tools.crowd",
    )

    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    forbidden, network_faults = told["forbidden"], told["networkFaults"]
    assert forbidden["sent"] == forbidden["rejected"] == sum(forbidden["kinds"].values()) > 20
    assert len(forbidden["kinds"]) > 10
    assert min(network_faults["lostReply"], network_faults["doubleClick"]) > 3
    assert told["violations"] == {"count": 0, "details": []}
    seats = seats_of(service, "SK900")
    assert (seats["booked"] - before, seats["reserved"]) == (told["seatsSold"], 0)


@pytest.mark.quiet
def test_of_sixty_who_contend_for_six_seats_six_are_sold_and_the_others_are_refused(
    customer: Skyhold, service: Service
) -> None:
    before = seats_of(service, "FL101")

    done = customer.run(
        *("--customers", "60", "--flight", "FL101", "--contend", "6", "--seed", "3", "--pace", "3", "--json"),
        module="tools.crowd",
    )

    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    contention = told["contention"]
    assert (told["closing"], contention["sold"], len(contention["seats"])) == ("soldOut", 6, 6)
    assert contention["winners"] + contention["refused"] + contention["released"] == 60
    assert contention["refused"] >= 50
    assert told["latencies"]["refusal"]["maxMs"] < 2000
    assert told["audit"]["findings"] == []
    seats = seats_of(service, "FL101")
    assert (seats["booked"] - before["booked"], seats["reserved"]) == (6, 0)


@pytest.mark.parametrize(
    ("database", "why"),
    [
        ("{own}", "is not the one behind this API"),
        ("{empty}", "is not the one behind this API"),
        ("", "DATABASE_URL"),
        ("postgresql://someone:secret@127.0.0.1:1/nothing", "PostgreSQL at 127.0.0.1:1"),
    ],
)
def test_a_ledger_that_does_not_know_the_crowds_orders_is_not_audited(
    customer: Skyhold, monkeypatch: pytest.MonkeyPatch, database: str, why: str
) -> None:
    own = customer.surroundings["DATABASE_URL"]
    empty = re.sub(r"/[^/?]+(\?|$)", r"/postgres\1", own)
    monkeypatch.chdir(customer.directory)
    monkeypatch.setenv("DATABASE_URL", database.format(own=own, empty=empty))
    verdict = audit_behind(["an-order-of-another-skyhold"], None)
    assert (verdict.findings, why in verdict.why_not, "secret" in verdict.why_not) == ((), True, False)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_whoever_stops_it_leaves_no_seat_held(
    customer: Skyhold, service: Service, number: signal.Signals, code: int
) -> None:
    crowd = customer.start("simulate", "--customers", "15", "--flight", "FL102", "--for", "10m", "--json")
    wait_until(lambda: seats_of(service, "FL102")["reserved"] >= 8)

    asked_at = time.monotonic()
    assert crowd.stop(number) == code

    assert time.monotonic() - asked_at < 40, "the crowd was asked to stay for ten minutes"
    assert seats_of(service, "FL102")["reserved"] == 0
    assert "Releasing holds." in crowd.errors.read_text()
    assert "Traceback" not in crowd.errors.read_text()


def test_a_person_at_a_terminal_sees_counts_and_news_and_stops_it_by_ctrl_c(
    customer: Skyhold, service: Service
) -> None:
    arguments = ("simulate", "--customers", "15", "--flight", "FL101", "--for", "10m")
    with on_terminal(customer, *arguments) as (crowd, screen):
        screen.wait_for(r"FL101  customer \d+ holds \d+[A-F]")
        shown = CONTROL.sub("", screen.wait_for("released"))
        assert re.search(r"[1-9]\d* +0 +0 +\d+ +\d+ +\d+ *\r\nheld +paying +confirmed +declined +conflicts", shown)
        crowd.send_signal(signal.SIGINT)
        shown = screen.wait_for("Answered")
        assert re.search(r"released at the end +\d+", CONTROL.sub("", shown))
        assert crowd.wait(TIMEOUT_SECONDS) == 130
    assert seats_of(service, "FL101")["reserved"] == 0


def test_a_second_ctrl_c_does_not_wait_and_what_was_held_ends_by_itself(skyhold: Skyhold) -> None:
    skyhold.surroundings["SEAT_RESERVATION_TIMEOUT"] = "4s"
    service = skyhold.start_service()
    skyhold.surroundings["SKYHOLD_API"] = service.address
    crowd = skyhold.start("simulate", "--customers", "10", "--flight", "SK900", "--for", "10m")
    wait_until(lambda: seats_of(service, "SK900")["reserved"] >= 3)
    service.api.process.send_signal(signal.SIGSTOP)

    crowd.process.send_signal(signal.SIGINT)
    wait_until(lambda: "Releasing holds" in crowd.errors.read_text())
    assert crowd.process.poll() is None, "an API that does not answer is waited for"
    asked_at = time.monotonic()
    assert crowd.stop(signal.SIGINT) == 130

    assert time.monotonic() - asked_at < 7, "who waits for this API does so for ten seconds"
    assert "Traceback" not in crowd.errors.read_text()
    service.api.process.send_signal(signal.SIGCONT)
    wait_until(lambda: seats_of(service, "SK900")["reserved"] == 0)


def test_an_api_and_a_worker_that_are_killed_are_waited_for(skyhold: Skyhold) -> None:
    service = skyhold.start_service()
    skyhold.surroundings |= {"SKYHOLD_API": service.address, "SERVER_PORT": service.address.rpartition(":")[2]}
    crowd = skyhold.start(
        *("simulate", "--customers", "10", "--flight", "SK900", "--for", "10m", "--json", "--seed", "3"),
        *("--pace", "2"),
    )
    wait_until(lambda: seats_of(service, "SK900")["reserved"] >= 3)

    booked = seats_of(service, "SK900")["booked"]
    for killed in (service.worker, service.api):
        killed.process.kill()
        killed.process.wait(TIMEOUT_SECONDS)
    skyhold.start("api").wait_for("API listening on ")
    wait_until(lambda: "retrying" in crowd.errors.read_text())
    skyhold.start("worker").wait_for("Worker starting on task queue: ")
    wait_until(lambda: seats_of(service, "SK900")["booked"] > booked + 2)

    crowd.process.send_signal(signal.SIGTERM)
    assert crowd.process.stdout is not None
    told = json.loads(crowd.process.stdout.read())
    assert crowd.process.wait(TIMEOUT_SECONDS) == 0, crowd.errors.read_text()
    assert told["failures"]["ConnectError"] > 0
    assert told["violations"] == {"count": 0, "details": []}
    assert told["endedByOthers"] == 0
    assert told["orders"]["confirmed"] > 0
    assert told["orders"]["open"] == 0
    assert seats_of(service, "SK900")["reserved"] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--for", "a while"), 2, "--for must be a duration such as 15m"),
        (("--for", "0s"), 2, "--for must be more than 0"),
        (("--customers", "0"), 2, "--customers"),
        (("--pace", "0"), 2, "--pace"),
        (("--retry-for", "0s"), 2, "--retry-for must be more than 0"),
        (("--patience", "9s"), 2, "--retry-for"),
        (("--liars", "10"), 2, "--forbidden"),
        (("--shaky", "10"), 2, "--flaky"),
        (("--fight", "20"), 2, "--contend"),
        (("--flight", "FL999"), 4, "No flight of this number"),
        (("--flight", "00000000-0000-0000-0000-000000000000"), 4, "no such flight"),
        (("--api", "http://127.0.0.1:1"), 3, "No answer from http://127.0.0.1:1."),
    ],
)
def test_what_cannot_be_done_is_said_at_once(
    customer: Skyhold, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = customer.run("simulate", *arguments, NO_COLOR="1", COLUMNS="200")
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
