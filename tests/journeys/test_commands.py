"""The commands of the README."""

from __future__ import annotations

import json
import time

import pytest

from support.stacks import Stack

FL101 = "550e8400-e29b-41d4-a716-446655440001"


@pytest.mark.rest
@pytest.mark.quiet
def test_a_seat_is_booked_in_two_commands(quick_stack: Stack) -> None:
    started = time.monotonic()

    order = quick_stack.json_of("book", "FL101", "12A", "12B")
    paid = quick_stack.json_of("pay", order["orderId"], stdin="99999\n")

    assert time.monotonic() - started < 6, "a second and a half on an idle machine"
    assert order["status"] == "SEATS_RESERVED"
    assert order["totalPriceCents"] == 70000
    assert paid["status"] == "CONFIRMED"
    assert len(paid["reference"]) == 6
    assert quick_stack.json_of("status", order["orderId"])["reference"] == paid["reference"]


def test_a_booking_is_cancelled(quick_stack: Stack) -> None:
    order = quick_stack.json_of("book", "FL101", "13A")

    assert quick_stack.skyhold("cancel", order["orderId"]).returncode == 0
    assert quick_stack.json_of("status", order["orderId"])["failureCode"] == "CANCELLED"
    assert quick_stack.skyhold("cancel", order["orderId"]).returncode == 0


def test_a_declined_payment_is_exit_code_1_and_a_sentence(quick_stack: Stack) -> None:
    order = quick_stack.json_of("book", "FL101", "13B")

    declined = quick_stack.skyhold("pay", order["orderId"], stdin="00000\n")

    assert declined.returncode == 1
    assert "declined" in declined.stderr
    assert "Traceback" not in declined.stderr


@pytest.mark.rest
@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "said"),
    [
        (("book", "FL999", "1A"), "", 4, "No flight"),
        (("book", "FL101", "99K"), "", 1, "99K"),
        (("book", "FL101", "nonsense"), "", 1, "row"),
        (("status", "no-such-order"), "", 4, "no such order"),
        (("pay", "no-such-order"), "99999\n", 4, "no such order"),
        (("cancel", "no/such/order"), "", 4, "no such order"),
        (("book", "FL101"), "", 2, "SEAT"),
        (("fly",), "", 2, "fly"),
    ],
)
def test_what_cannot_be_done_is_one_clear_line(
    quick_stack: Stack, arguments: tuple[str, ...], stdin: str, code: int, said: str
) -> None:
    done = quick_stack.skyhold(*arguments, stdin=stdin)

    assert (done.returncode, done.stdout) == (code, "")
    assert said.lower() in done.stderr.lower()
    assert "Traceback" not in done.stderr


def test_the_classic_commands_book_a_seat(quick_stack: Stack) -> None:
    quick_stack.temporal(
        *("workflow", "start", "--task-queue", "booking-queue", "--type", "BookingWorkflow"),
        *("--workflow-id", "booking-test-123", "--input"),
        json.dumps({"orderId": "test-123", "flightId": FL101, "seats": ["1A", "1B"]}),
    )
    status = quick_stack.temporal("workflow", "query", "--workflow-id", "booking-test-123", "--type", "booking-status")
    assert '"seats":["1A","1B"]' in status
    _signal(quick_stack, "test-123", "update-seats", {"seats": ["2A", "2B"]})
    _signal(quick_stack, "test-123", "proceed-to-payment", {"paymentCode": "99999"})

    assert _result(quick_stack, "test-123") == ("COMPLETED", "CONFIRMED", None, ["2A", "2B"])
    stranger = quick_stack.skyhold("status", "test-123")
    assert stranger.returncode == 4, "an order that was started by hand has no owner over HTTP"


@pytest.mark.rest
@pytest.mark.parametrize(
    ("order_id", "message", "end"),
    [
        ("test-cancel", ("cancel-booking", None), ("FAILED", "CANCELLED")),
        ("test-declined", ("proceed-to-payment", {"paymentCode": "00000"}), ("FAILED", "PAYMENT_DECLINED")),
        ("test-expired", None, ("EXPIRED", "ORDER_EXPIRED")),
    ],
)
def test_the_classic_commands_end_in_other_ways(
    quick_stack: Stack, order_id: str, message: tuple[str, object] | None, end: tuple[str, str | None]
) -> None:
    quick_stack.temporal(
        *("workflow", "start", "--task-queue", "booking-queue", "--type", "BookingWorkflow"),
        *("--workflow-id", f"booking-{order_id}", "--input"),
        json.dumps({"orderId": order_id, "flightId": FL101, "seats": ["3A"]}),
    )
    if message:
        _signal(quick_stack, order_id, *message)

    assert _result(quick_stack, order_id)[:3] == ("COMPLETED", *end)


def test_the_audit_finds_nothing_after_all_of_this(quick_stack: Stack) -> None:
    assert quick_stack.json_of("audit")["findings"] == []


def test_the_doctor_finds_everything_well(quick_stack: Stack) -> None:
    doctor = quick_stack.skyhold("doctor")

    assert doctor.returncode == 0, doctor.stdout + doctor.stderr


def _signal(stack: Stack, order_id: str, name: str, payload: object) -> None:
    given = ("--input", json.dumps(payload)) if payload is not None else ()
    stack.temporal("workflow", "signal", "--workflow-id", f"booking-{order_id}", "--name", name, *given)


def _result(stack: Stack, order_id: str) -> tuple[str, str, str | None, list[str]]:
    stack.temporal("workflow", "result", "--workflow-id", f"booking-{order_id}")
    described = json.loads(
        stack.temporal("workflow", "describe", "--workflow-id", f"booking-{order_id}", "--output", "json")
    )
    result = described["result"]
    closed = described["workflowExecutionInfo"]["status"].removeprefix("WORKFLOW_EXECUTION_STATUS_")
    return closed, result["status"], result.get("failureCode"), result["seats"]
