"""Operators' mistakes with workflows, and their automatic repair within two reconciliations."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import asyncpg
import pytest

from support.stacks import Stack, new_stack

pytestmark = pytest.mark.rest

INTERVAL_SECONDS = 8.0
TWO_INTERVALS = 2 * INTERVAL_SECONDS + 5.0
"""Two intervals, and the time of a survey and a repair."""

QUICK = {
    "RECONCILE_INTERVAL": f"{INTERVAL_SECONDS:.0f}s",
    "PAYMENT_SIMULATED_LATENCY": "40s",
    "PAYMENT_VALIDATION_TIMEOUT": "60s",
    "PAYMENT_FAILURE_RATE": "0",
}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with new_stack() as stack:
        stack.start(**QUICK)
        yield stack


def hold(stack: Stack, *seats: str, flight: str = "FL101") -> str:
    return str(stack.json_of("book", flight, *seats)["orderId"])


def status_of(stack: Stack, order_id: str) -> dict[str, Any]:
    status: dict[str, Any] = stack.json_of("status", order_id)
    return status


def until(condition: Callable[[], bool], *, within: float, what: str) -> float:
    """Wait until the condition is true, and return the seconds that it took."""
    began_at = time.monotonic()
    while not condition():
        assert time.monotonic() < began_at + within, f"not within {within} s: {what}"
        time.sleep(0.1)
    return time.monotonic() - began_at


def terminate(stack: Stack, order_id: str) -> None:
    stack.temporal("workflow", "terminate", "--workflow-id", f"booking-{order_id}", "--reason", "by mistake")


def test_a_terminated_hold_gives_its_seats_back_within_two_intervals(stack: Stack) -> None:
    order_id = hold(stack, "1A", "1B")
    terminate(stack, order_id)

    until(lambda: status_of(stack, order_id)["status"] == "FAILED", within=TWO_INTERVALS, what="the order's end")

    assert status_of(stack, order_id)["failureCode"] == "INTERNAL"
    hold(stack, "1A", "1B")
    assert_sound(stack)


@pytest.mark.long
def test_a_terminated_payment_is_shut_out_and_nothing_charged(stack: Stack) -> None:
    order_id = hold(stack, "2A")
    assert stack.skyhold("pay", order_id, "--no-wait", stdin="12345\n").returncode == 0
    until(lambda: status_of(stack, order_id)["status"] == "PAYMENT_PROCESSING", within=5, what="the payment")
    terminate(stack, order_id)

    until(lambda: status_of(stack, order_id)["status"] == "FAILED", within=TWO_INTERVALS, what="the order's end")

    assert_sound(stack)


@pytest.mark.long
def test_a_reset_order_is_its_workflows_again(stack: Stack) -> None:
    order_id = hold(stack, "3A")
    workflow_id = f"booking-{order_id}"
    stack.temporal(
        "workflow", "reset", "--workflow-id", workflow_id, "--type", "FirstWorkflowTask", "--reason", "a try"
    )
    time.sleep(TWO_INTERVALS)

    assert status_of(stack, order_id)["status"] == "SEATS_RESERVED"
    assert stack.skyhold("pay", order_id, stdin="99999\n").returncode == 0
    assert status_of(stack, order_id)["status"] == "CONFIRMED"
    assert_sound(stack)


def test_it_runs_at_once_when_asked_to(stack: Stack) -> None:
    assert stack.json_of("reconcile") == {"findings": [], "left": [], "foreignOrders": {}, "isComplete": True}
    done = stack.skyhold("reconcile")
    assert (done.returncode, done.stdout) == (0, "Nothing to repair.\n")


@pytest.mark.long
def test_orders_of_a_temporal_that_lost_its_file_are_left_alone_until_somebody_says_that_it_is_gone() -> None:
    with new_stack() as stack:
        stack.start(**QUICK)
        order_id = hold(stack, "1A")
        stack.stop()
        shutil.rmtree(stack.data_dir / "temporal")
        stack.start(**QUICK)
        time.sleep(TWO_INTERVALS)
        assert status_of(stack, order_id)["status"] == "SEATS_RESERVED"

        done = stack.skyhold("reconcile", "--json")
        ((namespace_id, orders),) = json.loads(done.stdout)["foreignOrders"].items()
        assert (done.returncode, orders) == (0, 1)
        assert f"skyhold reconcile --adopt {namespace_id}" in done.stderr

        done = stack.skyhold("reconcile", "--adopt", namespace_id)
        assert done.returncode == 0, done.stderr
        assert f"Adopted: 1 order of the namespace {namespace_id}." in done.stderr
        until(lambda: status_of(stack, order_id)["status"] == "FAILED", within=TWO_INTERVALS, what="the order's end")
        assert_sound(stack)


@pytest.mark.long
def test_a_worker_whose_temporal_loses_its_file_begins_anew_and_new_orders_are_its_own() -> None:
    with new_stack() as stack:
        stack.start(**QUICK)
        lost = hold(stack, "1A")
        for file in (stack.data_dir / "temporal").iterdir():
            file.unlink()
        temporal = stack.endpoints.pids.temporal
        assert temporal
        os.kill(temporal, signal.SIGKILL)

        def is_ours_again() -> bool:
            done = stack.skyhold("book", "FL101", "2A", "--json")
            if done.returncode:
                return False
            order_id = json.loads(done.stdout)["orderId"]
            assert stack.skyhold("cancel", order_id).returncode == 0
            return namespace_of(stack, order_id) != namespace_of(stack, lost)

        until(is_ours_again, within=40, what="a worker in the new namespace")
        assert json.loads(stack.skyhold("reconcile", "--json").stdout)["foreignOrders"] == {
            namespace_of(stack, lost): 1
        }


def namespace_of(stack: Stack, order_id: str) -> str:
    async def ask() -> str:
        ledger = await asyncpg.connect(stack.endpoints.database_url)
        try:
            return str(await ledger.fetchval("SELECT namespace_id FROM orders WHERE id = $1", order_id))
        finally:
            await ledger.close()

    return asyncio.run(ask())


def assert_sound(stack: Stack) -> None:
    done = stack.skyhold("audit")
    assert done.returncode == 0, done.stdout + done.stderr
