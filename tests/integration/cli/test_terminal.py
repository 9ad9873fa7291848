"""The terminal of a person who pays."""

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

import httpx
import pytest

from support.canaries import CODE, code_told_in
from support.commands import Service, Skyhold

pytestmark = pytest.mark.rest

_TIMEOUT_SECONDS = 40


def _read_until(terminal: int, pattern: str, seen: str = "") -> str:
    """Wait for the pattern, with a timeout, and return the output up to it."""
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while not re.search(pattern, seen):
        ready, _, _ = select.select([terminal], [], [], deadline - time.monotonic())
        assert ready, f"not shown: {pattern}, but: {seen}"
        seen += os.read(terminal, 4096).decode()
    return seen


@contextlib.contextmanager
def _paying(skyhold: Skyhold, order_id: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Pay at a terminal; stdout goes into a pipe."""
    ours, theirs = pty.openpty()
    paying = subprocess.Popen(
        [sys.executable, "-m", "skyhold", "pay", order_id],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        cwd=skyhold.directory,
        env=skyhold.surroundings | {"TERM": "xterm", "COLUMNS": "100"},
        start_new_session=True,
    )
    os.close(theirs)
    try:
        with contextlib.closing(paying.stdout or sys.stdin):
            yield paying, ours
    finally:
        paying.kill()
        paying.wait(_TIMEOUT_SECONDS)
        os.close(ours)


def test_the_code_is_asked_for_and_not_shown_and_attempts_are_told_live(skyhold: Skyhold) -> None:
    skyhold.surroundings |= {"PAYMENT_FAILURE_RATE": "1", "PAYMENT_SIMULATED_LATENCY": "800ms"}
    skyhold.surroundings["SKYHOLD_API"] = skyhold.start_service().address
    order = json.loads(skyhold.run("book", "FL102", "9A", "9B", "--json").stdout)
    with _paying(skyhold, order["orderId"]) as (paying, terminal):
        shown = _read_until(terminal, "Payment code: ")
        assert "640.00 USD for 9A 9B" in shown
        os.write(terminal, f"{CODE}\n".encode())
        for attempt in (1, 2, 3):
            shown = _read_until(terminal, f"attempt {attempt} of 3", shown)
        shown = _read_until(terminal, "The payment failed. Nothing was charged.", shown)
        assert paying.wait(_TIMEOUT_SECONDS) == 1
        assert paying.stdout is not None
        assert "PAYMENT_FAILED" in paying.stdout.read()
    assert code_told_in(shown) == ""


def test_nobody_pays_for_other_seats_than_those_that_were_shown(customer: Skyhold, service: Service) -> None:
    order = json.loads(customer.run("book", "FL102", "10A", "--json").stdout)
    with _paying(customer, order["orderId"]) as (paying, terminal):
        _read_until(terminal, "320.00 USD for 10A[^$]*Payment code: ")
        changed = httpx.put(
            f"{service.address}/api/orders/{order['orderId']}/seats",
            json={"seats": ["10A", "10B"]},
            headers={"Authorization": f"Bearer {order['orderToken']}"},
            trust_env=False,
        )
        assert changed.status_code == 200
        os.write(terminal, b"99999\n")
        _read_until(terminal, "ORDER_CHANGED")
        assert paying.wait(_TIMEOUT_SECONDS) == 1
    assert json.loads(customer.run("status", order["orderId"], "--json").stdout)["status"] == "SEATS_RESERVED"


def test_no_code_is_asked_for_that_nobody_would_take(customer: Skyhold) -> None:
    order = json.loads(customer.run("book", "FL102", "11A", "--json").stdout)
    customer.run("cancel", order["orderId"])
    with _paying(customer, order["orderId"]) as (paying, terminal):
        shown = _read_until(terminal, r"It ended FAILED \(CANCELLED\)")
        assert "Payment code" not in shown
        assert paying.wait(_TIMEOUT_SECONDS) == 1


def test_who_stops_waiting_hears_that_the_payment_goes_on(skyhold: Skyhold) -> None:
    skyhold.surroundings |= {"PAYMENT_SIMULATED_LATENCY": "3s"}
    skyhold.surroundings["SKYHOLD_API"] = skyhold.start_service().address
    order_id = json.loads(skyhold.run("book", "FL102", "12A", "--json").stdout)["orderId"]
    with _paying(skyhold, order_id) as (paying, terminal):
        _read_until(terminal, "Payment code: ")
        os.write(terminal, f"{CODE}\n".encode())
        _read_until(terminal, "attempt 1 of 3")
        paying.send_signal(signal.SIGINT)
        _read_until(terminal, f"The payment continues in the background. See `skyhold status -- {order_id}`.")
        assert paying.wait(_TIMEOUT_SECONDS) == 130
