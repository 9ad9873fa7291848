"""A data directory of an earlier commit, killed with open bookings, under today's code: every order ends correctly.

`EARLIER` is updated: it is the last commit before the newest migration or the newest change of a payload in Temporal.
Today's code must read the rows and payloads that it wrote.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import asyncpg
import httpx
import pytest

from skyhold.postgresql.pools import open_pool
from support.activity_runner import a_flight
from support.earlier import has_commit, unpack_source
from support.services import FL101, eventually
from support.stacks import Stack, new_stack

EARLIER = "ff9c684bbb7357421ed707723a424d4513e18d5d"

_LOCK_SEATS = "SELECT FROM seats WHERE flight_id = $1 AND seat_id = ANY($2) FOR UPDATE"
_MANY_HOLDS = {"MAX_HOLDS_PER_GUEST": "20"}
_WAITERS = "SELECT count(*) FROM pg_locks WHERE NOT granted"

pytestmark = [
    pytest.mark.rest,
    pytest.mark.skipif(not has_commit(EARLIER), reason="this clone has no history: the earlier commit is not in it"),
]

T = TypeVar("T")


@dataclass
class Guest:
    """A guest who books over HTTP, with their cookie, and the key and the reply of each order."""

    api: httpx.Client
    keys: dict[str, str] = field(default_factory=dict)
    replies: dict[str, dict[str, Any]] = field(default_factory=dict)

    def book(self, *seats: str, flight_id: str = FL101) -> str:
        """Hold the seats under a key of their own and return the order's id."""
        key = secrets.token_urlsafe(24)
        reply = self.ask_to_book(key, *seats, flight_id=flight_id)
        assert reply.status_code == 201, reply.text
        order_id: str = reply.json()["orderId"]
        self.keys[order_id], self.replies[order_id] = key, reply.json()
        return order_id

    def ask_to_book(self, key: str, *seats: str, flight_id: str = FL101) -> httpx.Response:
        wish = {"flightId": flight_id, "seats": list(seats)}
        return self.api.post("/api/orders", json=wish, headers={"Idempotency-Key": key})

    def change(self, order_id: str, *seats: str) -> httpx.Response:
        return self.api.put(f"/api/orders/{order_id}/seats", json={"seats": list(seats)})

    def pay(self, order_id: str, code: str) -> None:
        reply = self.api.post(f"/api/orders/{order_id}/pay", json={"paymentCode": code})
        assert reply.status_code == 202, reply.text

    def cancel(self, order_id: str) -> None:
        assert self.api.delete(f"/api/orders/{order_id}").status_code == 204

    def status(self, order_id: str) -> dict[str, Any]:
        reply = self.api.get(f"/api/orders/{order_id}/status")
        assert reply.status_code == 200, reply.text
        status: dict[str, Any] = reply.json()
        return status

    def until(self, order_id: str, expected: str) -> dict[str, Any]:
        """Wait until the order has this status and return the whole status."""

        def is_so() -> dict[str, Any] | None:
            status = self.status(order_id)
            return status if status["status"] == expected else None

        return until(is_so, what=f"{self.status(order_id)} to be {expected}")


@dataclass
class Upgraded:
    """The stack under today's code, the guest of the earlier code, and the open orders."""

    stack: Stack
    guest: Guest
    ids: dict[str, str]
    lost_key: str
    """The key of the request whose reply was lost when everything was killed."""


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upgraded]:
    source = unpack_source(EARLIER, tmp_path_factory.mktemp("earlier"))
    with new_stack() as stack, httpx.Client(timeout=30, trust_env=False) as api:
        guest = Guest(api)
        payments = {"PAYMENT_SIMULATED_LATENCY": "50s", "PAYMENT_VALIDATION_TIMEOUT": "60s"}
        api.base_url = httpx.URL(stack.start(PYTHONPATH=str(source), **_MANY_HOLDS, **payments).api)
        ids = _book_of_every_kind(stack, guest)
        lost_key = asyncio.run(_kill_between_claims(stack, guest, ids))
        time.sleep(3)  # Until the hold on the flight that departs soon has ended at departure.

        payments = {"PAYMENT_SIMULATED_LATENCY": "0s", "PAYMENT_FAILURE_RATE": "0"}
        api.base_url = httpx.URL(stack.start(**_MANY_HOLDS, **payments).api)
        yield Upgraded(stack, guest, ids, lost_key)


def _book_of_every_kind(stack: Stack, guest: Guest) -> dict[str, str]:
    ids = {
        "held": guest.book("1A", "1B"),
        "to change": guest.book("2A"),
        "to extend": guest.book("3A"),
        "to cancel": guest.book("4A"),
        "changed": guest.book("5A"),
        "confirmed": guest.book("6A"),
        "declined": guest.book("7A"),
        "cancelled": guest.book("8A"),
        "paying": guest.book("9A", "9B"),
        "changing": guest.book("10A"),
        "by hand": _start_by_hand(stack, "11A", "11B"),
    }
    assert guest.change(ids["changed"], "5B", "5C").status_code == 200
    guest.pay(ids["confirmed"], "99999")
    guest.pay(ids["declined"], "00000")
    guest.cancel(ids["cancelled"])
    guest.until(ids["confirmed"], "CONFIRMED")
    guest.until(ids["declined"], "FAILED")
    guest.until(ids["cancelled"], "FAILED")
    guest.pay(ids["paying"], "12345")
    guest.until(ids["paying"], "PAYMENT_PROCESSING")
    ids["expired"] = guest.book("1A", flight_id=asyncio.run(_sow_a_flight_that_departs_soon(stack)))
    return ids


def _start_by_hand(stack: Stack, *seats: str) -> str:
    order_id = str(uuid.uuid4())
    start = {"orderId": order_id, "flightId": FL101, "seats": seats}
    stack.temporal(
        *("workflow", "start", "--type", "BookingWorkflow", "--task-queue", "booking-queue"),
        *("--workflow-id", f"booking-{order_id}", "--input", json.dumps(start)),
    )
    until(lambda: _query(stack, order_id)["status"] == "SEATS_RESERVED", what="the order made by hand")
    return order_id


def _query(stack: Stack, order_id: str) -> dict[str, Any]:
    """Query the workflow itself, because an order started by hand has no token."""
    answer = stack.temporal(
        *("workflow", "query", "--workflow-id", f"booking-{order_id}"),
        *("--type", "booking-status", "--output", "json"),
    )
    status: dict[str, Any] = json.loads(answer)["queryResult"][0]
    return status


async def _sow_a_flight_that_departs_soon(stack: Stack) -> str:
    pool = await open_pool(stack.endpoints.database_url, application="tests")
    try:
        return await a_flight(pool, ["1A"], departs_in_days=8 / 86_400)
    finally:
        await pool.close()


async def _kill_between_claims(stack: Stack, guest: Guest, ids: dict[str, str]) -> str:
    """Kill everything while a first hold and a change wait for a seat, and return the key of that hold."""
    lost_key = secrets.token_urlsafe(24)
    ledger = await asyncpg.connect(stack.endpoints.database_url)
    await ledger.execute("BEGIN")
    await ledger.execute(_LOCK_SEATS, FL101, ["10B", "12A"])
    asked = [
        asyncio.create_task(asyncio.to_thread(guest.change, ids["changing"], "10B")),
        asyncio.create_task(asyncio.to_thread(guest.ask_to_book, lost_key, "12A")),
    ]

    async def do_both_wait() -> bool:
        return bool(await ledger.fetchval(_WAITERS) == len(asked))

    await eventually(do_both_wait)
    stack.kill()
    replies = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(reply, httpx.TransportError) for reply in replies), replies
    ledger.terminate()
    return lost_key


def test_a_held_order_is_the_same_to_its_guest_and_its_key_and_is_paid(upgraded: Upgraded) -> None:
    guest, order_id = upgraded.guest, upgraded.ids["held"]
    status = guest.status(order_id)
    assert (status["status"], status["seats"]) == ("SEATS_RESERVED", ["1A", "1B"])
    assert status["expiresAt"] == guest.replies[order_id]["expiresAt"], "the clock went on"

    again = guest.ask_to_book(guest.keys[order_id], "1A", "1B")
    assert (again.status_code, again.json()["orderId"]) == (201, order_id)
    assert again.headers["Idempotency-Replayed"] == "true"

    guest.pay(order_id, "99999")
    guest.until(order_id, "CONFIRMED")


def test_the_token_of_an_earlier_order_still_opens_it(upgraded: Upgraded) -> None:
    order_id = upgraded.ids["declined"]
    bearer = {"Authorization": f"Bearer {upgraded.guest.replies[order_id]['orderToken']}"}
    with httpx.Client(base_url=upgraded.stack.endpoints.api, headers=bearer, trust_env=False) as other_machine:
        status = other_machine.get(f"/api/orders/{order_id}/status")
    assert (status.status_code, status.json()["failureCode"]) == (200, "PAYMENT_DECLINED")


def test_a_held_order_changes_its_seats(upgraded: Upgraded) -> None:
    guest, order_id = upgraded.guest, upgraded.ids["to change"]
    changed = guest.change(order_id, "2B")
    assert (changed.status_code, changed.json()["seats"]) == (200, ["2B"])
    guest.cancel(order_id)


def test_a_held_order_is_extended(upgraded: Upgraded) -> None:
    guest, order_id = upgraded.guest, upgraded.ids["to extend"]
    before = guest.status(order_id)
    extended = guest.change(order_id, "3A")
    assert extended.status_code == 200, extended.text
    assert extended.json()["expiresAt"] > before["expiresAt"]
    guest.pay(order_id, "00000")
    assert guest.until(order_id, "FAILED")["failureCode"] == "PAYMENT_DECLINED"


def test_a_held_order_is_cancelled(upgraded: Upgraded) -> None:
    guest, order_id = upgraded.guest, upgraded.ids["to cancel"]
    guest.cancel(order_id)
    assert guest.until(order_id, "FAILED")["failureCode"] == "CANCELLED"
    assert guest.ask_to_book(secrets.token_urlsafe(24), "4A").status_code == 201, "its seat is free"


def test_a_changed_order_has_its_new_seats_and_is_paid(upgraded: Upgraded) -> None:
    guest, order_id = upgraded.guest, upgraded.ids["changed"]
    assert guest.status(order_id)["seats"] == ["5B", "5C"]
    guest.pay(order_id, "99999")
    guest.until(order_id, "CONFIRMED")


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("confirmed", "CONFIRMED", None),
        ("declined", "FAILED", "PAYMENT_DECLINED"),
        ("cancelled", "FAILED", "CANCELLED"),
        ("paying", "CONFIRMED", None),
        ("expired", "EXPIRED", "ORDER_EXPIRED"),
    ],
)
def test_an_order_that_needs_nobody_any_more_ends_right(
    upgraded: Upgraded, name: str, status: str, code: str | None
) -> None:
    assert upgraded.guest.until(upgraded.ids[name], status).get("failureCode") == code


def test_a_first_hold_that_was_cut_off_is_given_up_and_its_seat_is_free(upgraded: Upgraded) -> None:
    guest = upgraded.guest

    def ask_again() -> httpx.Response | None:
        reply = guest.ask_to_book(upgraded.lost_key, "12A")
        return reply if reply.status_code != 503 else None

    for _ in range(2):
        reply = until(ask_again, what="an answer to the lost request")
        assert (reply.status_code, reply.json()["error"]) == (409, "DEADLINE_EXCEEDED")
        assert reply.headers["Idempotency-Replayed"] == "true"
    order_id = guest.book("12A")
    guest.pay(order_id, "99999")
    guest.until(order_id, "CONFIRMED")


def test_a_change_that_was_cut_off_happened_or_did_not(upgraded: Upgraded) -> None:
    guest, order_id = upgraded.guest, upgraded.ids["changing"]
    guest.pay(order_id, "99999")
    assert guest.until(order_id, "CONFIRMED")["seats"] in (["10A"], ["10B"])


def test_an_order_made_by_hand_takes_signals(upgraded: Upgraded) -> None:
    stack, order_id = upgraded.stack, upgraded.ids["by hand"]

    def send(signal: str, content: dict[str, Any]) -> None:
        stack.temporal(
            *("workflow", "signal", "--workflow-id", f"booking-{order_id}"),
            *("--name", signal, "--input", json.dumps(content)),
        )

    send("update-seats", {"seats": ["11C"]})
    until(lambda: _query(stack, order_id)["seats"] == ["11C"], what="the change by signal")
    send("proceed-to-payment", {"paymentCode": "99999"})
    until(lambda: _query(stack, order_id)["status"] == "CONFIRMED", what="the payment by signal")


def test_nothing_is_wrong_and_nothing_left_behind(upgraded: Upgraded) -> None:
    guest, ids, stack = upgraded.guest, upgraded.ids, upgraded.stack
    guest.until(ids["paying"], "CONFIRMED")
    guest.until(ids["expired"], "EXPIRED")
    # The locks of the interrupted change stay until the next run of the reconciler.
    left = {"findings": [], "left": [], "foreignOrders": {}, "isComplete": True}
    until(lambda: stack.json_of("reconcile") == left, what="nothing left to reconcile")
    assert stack.json_of("audit")["findings"] == []


def test_a_new_order_is_booked_beside_them(upgraded: Upgraded) -> None:
    guest = upgraded.guest
    order_id = guest.book("13A", "13B")
    guest.pay(order_id, "99999")
    guest.until(order_id, "CONFIRMED")


def until(condition: Callable[[], T | None], *, what: str, within: float = 60.0) -> T:
    """Return the condition's first truthy result."""
    deadline = time.monotonic() + within
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        time.sleep(0.1)
    return answer
