"""The command line as processes, on real servers: its output on stdout and stderr, and its exit codes."""

from __future__ import annotations

import json
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from support.canaries import CODE as CANARY
from support.canaries import code_told_in
from support.commands import Skyhold

CODE = "99999"
NOBODY = "127.0.0.1:1"


def _book(customer: Skyhold, *seats: str) -> dict[str, Any]:
    booked = customer.run("book", "FL101", *seats, "--json")
    assert booked.returncode == 0, booked.stderr
    order: dict[str, Any] = json.loads(booked.stdout)
    return order


def test_seats_are_booked_and_paid_with_a_code_from_standard_input(customer: Skyhold) -> None:
    booked = customer.run("book", "fl101", "12a", "12B")
    assert booked.returncode == 0
    assert "Seats       12A 12B\n" in booked.stdout
    assert "Total       700.00 USD\n" in booked.stdout
    assert "skyhold pay" not in booked.stdout
    order_id = booked.stdout.split()[1]
    assert f"skyhold pay {order_id}" in booked.stderr
    paid = customer.run("pay", order_id, typed=f"{CODE}\n")
    assert paid.returncode == 0, paid.stderr
    assert "CONFIRMED" in paid.stdout
    assert "Reference" in paid.stdout
    assert "\x1b" not in paid.stdout + paid.stderr
    shown = json.loads(customer.run("status", order_id, "--json").stdout)
    assert (shown["status"], shown["paymentAttempts"]) == ("CONFIRMED", 1)
    cancelled = customer.run("cancel", order_id)
    assert (cancelled.returncode, cancelled.stdout) == (1, "")
    assert "ORDER_CLOSED" in cancelled.stderr


def test_a_declined_payment_is_a_failure_that_says_why(customer: Skyhold) -> None:
    order = _book(customer, "1A")
    paid = customer.run("pay", order["orderId"], "--json", typed="00000\n")
    assert paid.returncode == 1
    assert json.loads(paid.stdout)["failureCode"] == "PAYMENT_DECLINED"
    assert paid.stderr == "Error: The payment was declined. Nothing was charged.\n"


def test_a_payment_that_is_not_waited_for_ends_when_it_is_accepted(customer: Skyhold) -> None:
    order = _book(customer, "1B")
    paid = customer.run("pay", order["orderId"], "--no-wait", "--json", typed=CODE)
    assert (paid.returncode, json.loads(paid.stdout)["status"]) == (0, "PAYMENT_PENDING")


def test_an_order_is_cancelled_twice_alike(customer: Skyhold) -> None:
    order = _book(customer, "1C")
    for _ in range(2):
        cancelled = customer.run("cancel", order["orderId"])
        assert cancelled.returncode == 0
        assert "CANCELLED" in cancelled.stdout


def test_refusals_are_told_in_one_line_with_their_exit_code(customer: Skyhold) -> None:
    _book(customer, "2A")
    for arguments, typed, code, words in (
        (("book", "FL101", "2A", "2B"), "", 1, "2A is on hold. Closest: 2B 2C; "),
        (("book", "FL101", "2I"), "", 1, "INVALID_SEATS"),
        (("book", "FL101", "88K"), "", 1, "Error: Not on this aircraft: 88K. (INVALID_SEATS)\n"),
        (("book", "FL999", "2B"), "", 4, "No flight of this number"),
        (("book", "550e8400-e29b-41d4-a716-446655449999", "2B"), "", 4, "FLIGHT_NOT_FOUND"),
        (("status", "nobody"), "", 4, "ORDER_NOT_FOUND"),
        (("status", "--", "-nobody"), "", 4, "ORDER_NOT_FOUND"),
        (("status", "a/../b?c"), "", 4, "NOT_FOUND"),
        (("pay", "nobody"), CODE, 4, "ORDER_NOT_FOUND"),
        (("pay", "nobody"), "", 2, "standard input"),
        (("book", "FL101"), "", 2, "Missing argument"),
        (("book", "--unknown"), "", 2, "--unknown"),
    ):
        ended = customer.run(*arguments, typed=typed)
        assert (ended.returncode, ended.stdout) == (code, ""), (arguments, ended.stderr)
        assert words in ended.stderr
        assert "Traceback" not in ended.stderr
        if code != 2:
            assert ended.stderr.count("\n") == 1


def test_a_code_that_is_typed_appears_in_no_output_and_no_log(skyhold: Skyhold) -> None:
    skyhold.surroundings["LOG_LEVEL"] = "debug"
    service = skyhold.start_service()
    skyhold.surroundings["SKYHOLD_API"] = service.address
    order = _book(skyhold, "3A")
    printed = [skyhold.run("pay", order["orderId"], typed=typed) for typed in (f"{CANARY}!\n", f"{CANARY}\n")]
    assert [ended.returncode for ended in printed] == [1, 0]
    for running in (service.api, service.worker):
        running.stop()
        assert code_told_in(running.errors.read_text()) == ""
    for ended in printed:
        assert code_told_in(ended.stdout + ended.stderr) == ""
    assert "/pay" in service.api.errors.read_text()


@pytest.mark.rest
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_worker_and_api_stop_cleanly_when_they_are_asked_to(
    number: signal.Signals, code: int, skyhold: Skyhold
) -> None:
    service = skyhold.start_service()
    for running in (service.api, service.worker):
        assert running.stop(number) == code
        assert "Traceback" not in running.errors.read_text()


@pytest.mark.rest
def test_a_worker_says_what_it_is_connected_to_and_what_it_registered(skyhold: Skyhold) -> None:
    worker = skyhold.start("worker")
    queue = skyhold.surroundings["TEMPORAL_TASK_QUEUE"]
    assert worker.wait_for("Worker starting") == f"Worker starting on task queue: {queue}"
    said = "\n".join(worker.printed)
    for word in ("BookingWorkflow", "ReserveSeats", "ExpireOrder", skyhold.surroundings["TEMPORAL_ADDRESS"]):
        assert word in said
    password = skyhold.surroundings["DATABASE_URL"].partition("//")[2].partition("@")[0].partition(":")[2]
    assert password
    assert password not in said + worker.errors.read_text()


@pytest.mark.rest
@pytest.mark.parametrize("command", ["worker", "migrate", "seed"])
def test_a_server_that_cannot_be_reached_is_named_and_its_password_is_not(command: str, skyhold: Skyhold) -> None:
    ended = skyhold.run(command, DATABASE_URL=f"postgresql://me:hunter2@{NOBODY}/skyhold")
    assert ended.returncode == 3
    assert f"PostgreSQL at {NOBODY}/skyhold" in ended.stderr
    assert "hunter2" not in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.rest
def test_a_worker_without_temporal_says_so(skyhold: Skyhold) -> None:
    ended = skyhold.run("worker", TEMPORAL_ADDRESS=NOBODY)
    assert (ended.returncode, ended.stderr) == (
        3,
        f"Error: Temporal at {NOBODY} cannot be reached: nothing listens there; start it, or correct TEMPORAL_ADDRESS.\n",
    )


@pytest.mark.rest
@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"SEAT_RESERVATION_TIMEOUT": "soon"}, "SEAT_RESERVATION_TIMEOUT: must be a duration"),
        ({"SERVER_PORT": "99999"}, "SERVER_PORT: "),
        ({"DATABASE_URL": ""}, "DATABASE_URL is not set"),
        ({"DATABASE_URL": "db.example"}, "DATABASE_URL: must be a URL"),
        ({"REDIS_URL": "http://me:hunter2@redis"}, "REDIS_URL: must be a URL"),
        ({"TEMPORAL_NAMESPACE": "nowhere"}, "nowhere"),
        ({"TEMPORAL_ADDRESS": ""}, "TEMPORAL_ADDRESS is not set"),
        (
            {"TEMPORAL_ADDRESS": "temporal", "DATABASE_URL": f"postgresql://{NOBODY}/x"},
            "TEMPORAL_ADDRESS: must be host:port",
        ),
    ],
)
def test_a_bad_setting_is_one_clear_line(variables: dict[str, str], words: str, skyhold: Skyhold) -> None:
    ended = skyhold.run("worker", **variables)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("Error: ")
    assert words in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert "hunter2" not in ended.stderr


@pytest.mark.rest
@pytest.mark.parametrize("command", ["api", "doctor"])
def test_an_address_of_temporal_that_cannot_be_one_is_told_before_it_is_used(command: str, skyhold: Skyhold) -> None:
    ended = skyhold.run(command, TEMPORAL_ADDRESS="temporal")
    assert ended.returncode == 2
    assert "TEMPORAL_ADDRESS: must be host:port, such as localhost:7233" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


def test_nothing_that_says_where_skyhold_is_names_the_ways_to_say_it(skyhold: Skyhold) -> None:
    ended = skyhold.run("status", "an-order")
    assert ended.returncode == 2
    for way in ("skyhold up", "--api", "--data-dir", "SKYHOLD_API"):
        assert way in ended.stderr


def test_an_api_that_cannot_be_reached_is_said(skyhold: Skyhold, tmp_path: Path) -> None:
    assert skyhold.run("status", "an-order", "--api", f"http://{NOBODY}").returncode == 3
    assert skyhold.run("status", "an-order", "--api", "skyhold.example").returncode == 2
    ended = skyhold.run("status", "an-order", "--data-dir", str(tmp_path / "nothing"))
    assert (ended.returncode, "No `skyhold up` is ready" in ended.stderr) == (3, True)


def test_a_port_that_is_taken_is_named(skyhold: Skyhold) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = skyhold.run("api", SERVER_PORT=port)
    assert ended.returncode == 1
    assert port in ended.stderr
    assert "SERVER_PORT" in ended.stderr


@pytest.mark.rest
def test_migrating_and_seeding_again_does_nothing(skyhold: Skyhold) -> None:
    assert json.loads(skyhold.run("migrate", "--json").stdout) == {"applied": []}
    assert json.loads(skyhold.run("seed", "--json").stdout) == {"added": 0, "moved": 0}


def test_the_doctor_finds_everything_well_while_all_runs(customer: Skyhold) -> None:
    ended = customer.run_until(0, "doctor", "--json")
    findings = {finding["name"]: finding for finding in json.loads(ended.stdout)}
    assert ended.returncode == 0, findings
    for name in ("postgresql", "redis", "temporal", "worker", "schema", "api", "postgres", "valkey", "skyhold"):
        assert findings[name]["health"] == "good"


@pytest.mark.rest
def test_the_doctor_says_what_is_ill_and_how_to_mend_it(skyhold: Skyhold) -> None:
    redis = f"redis://:hunter2@{NOBODY}/0"
    ended = skyhold.run("doctor", "--json", REDIS_URL=redis)
    findings = {finding["name"]: finding for finding in json.loads(ended.stdout)}
    assert ended.returncode == 3
    assert findings["redis"]["health"] == "unreachable"
    assert findings["worker"]["health"] == "bad"
    assert findings["worker"]["remedy"] == "Start one with `skyhold worker`."
    assert findings["api"]["health"] == "absent"
    assert "hunter2" not in ended.stdout + ended.stderr


@pytest.mark.rest
def test_the_doctor_of_a_machine_where_nothing_runs_has_nothing_to_complain_of(skyhold: Skyhold) -> None:
    ended = skyhold.run("doctor", DATABASE_URL="", REDIS_URL="", TEMPORAL_ADDRESS="")
    assert ended.returncode == 0, ended.stdout
    assert "skyhold up" in ended.stdout


@pytest.mark.rest
def test_logs_are_json_where_it_is_asked_for(skyhold: Skyhold) -> None:
    api = skyhold.start("api", LOG_FORMAT="json")
    api.wait_for("API listening on ")
    api.stop()
    lines = [json.loads(line) for line in api.errors.read_text().splitlines()]
    assert {"event", "level", "timestamp", "logger"} <= set(lines[0])
