"""`skyhold up` stopped, started with other settings, and with each of its children killed: bookings continue."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psutil
import pytest

from support.stacks import Stack, new_stack

pytestmark = pytest.mark.rest

FL101 = "550e8400-e29b-41d4-a716-446655440001"


@pytest.fixture
def stack() -> Iterator[Stack]:
    with new_stack() as stack:
        yield stack


@pytest.mark.long
def test_bookings_go_on_over_a_restart_under_the_policy_they_began_with(stack: Stack) -> None:
    stack.start(SEAT_RESERVATION_TIMEOUT="60s", MAX_SEATS_PER_ORDER="2", PAYMENT_FAILURE_RATE="0")
    order = stack.json_of("book", "FL101", "1A")
    before = stack.json_of("status", order["orderId"])
    assert stack.stop() == 0

    endpoints = stack.start(SEAT_RESERVATION_TIMEOUT="15m", MAX_SEATS_PER_ORDER="1")

    after = stack.json_of("status", order["orderId"])
    assert after["expiresAt"] == before["expiresAt"], "the countdown goes on"
    assert 0 < after["timerRemaining"] < before["timerRemaining"]
    bearer = {"Authorization": f"Bearer {order['orderToken']}"}
    with httpx.Client(base_url=endpoints.api, timeout=20, headers=bearer) as api:
        two_seats = api.put(f"/api/orders/{order['orderId']}/seats", json={"seats": ["1A", "1B"]})
        assert two_seats.status_code == 200, "the order keeps its policy of two seats"
        three_seats = api.put(f"/api/orders/{order['orderId']}/seats", json={"seats": ["1A", "1B", "1C"]})
        assert (three_seats.status_code, three_seats.json()["error"]) == (400, "INVALID_SEATS")
        new = api.post("/api/orders", json={"flightId": FL101, "seats": ["2A", "2B"]})
        assert (new.status_code, new.json()["error"]) == (400, "INVALID_SEATS"), "a new order follows the settings"
    status = stack.json_of("status", order["orderId"])
    assert status["timerRemaining"] <= 60, "the order keeps its policy of 60 seconds"
    assert stack.skyhold("cancel", order["orderId"]).returncode == 0
    assert stack.json_of("audit")["findings"] == []


@pytest.mark.long
def test_each_child_killed_in_turn_is_back_on_its_port_and_bookings_go_on(stack: Stack) -> None:
    first = stack.start(PAYMENT_FAILURE_RATE="0", PAYMENT_SIMULATED_LATENCY="0s")
    orders = []
    for number, name in enumerate(("api", "worker", "redis", "temporal", "postgres"), start=1):
        order = stack.json_of("book", "FL101", f"{number}A")
        killed = _pid(stack, name)
        os.kill(killed, signal.SIGKILL)

        _until(lambda name=name, killed=killed: _is_back(stack, name, killed), within=30, what=f"{name} to be back")  # type: ignore[misc]
        _until(lambda: _is_ready(stack), within=30, what=f"readiness after {name} was killed")

        paid = stack.json_of("pay", order["orderId"], stdin="99999\n")
        assert paid["status"] == "CONFIRMED", name
        orders.append(order)
    last = stack.endpoints
    assert (last.api, last.temporal, last.database_url, last.redis_url) == (
        first.api,
        first.temporal,
        first.database_url,
        first.redis_url,
    )
    assert stack.json_of("audit")["findings"] == []


def _pid(stack: Stack, name: str) -> int:
    pids: Any = stack.endpoints.pids
    pid = pids.workers[0] if name == "worker" else getattr(pids, name)
    assert isinstance(pid, int)
    return pid


def _is_back(stack: Stack, name: str, killed: int) -> bool:
    pid = _pid(stack, name)
    return pid != killed and psutil.pid_exists(pid)


def _is_ready(stack: Stack) -> bool:
    try:
        return bool(httpx.get(f"{stack.endpoints.api}/readyz", timeout=5).json()["status"] == "ready")
    except httpx.HTTPError:
        return False


def _until(check: Callable[[], bool], *, within: float, what: str) -> None:
    deadline = time.monotonic() + within
    while not check():
        assert time.monotonic() < deadline, f"waited {within} s for {what}"
        time.sleep(0.05)
