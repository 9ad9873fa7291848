"""A worker and an API whose wall clock is an hour off: bookings use PostgreSQL's, and the offset is reported."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from support.clocks import clock_that_is_off
from support.commands import Service, Skyhold
from support.services import FL101, eventually

pytestmark = pytest.mark.rest

HOLD = timedelta(seconds=8)
"""Longer than a busy machine takes for a few requests with retries."""

CHANGED_AFTER = timedelta(seconds=0.5)
BACK_WITHIN = timedelta(seconds=5)
"""After the end of a hold: 1 s (docs/rules.md#the-clock), and some for a busy machine; a wrong clock is an hour off."""

AN_HOUR = 3600
NEARLY = 5.0
"""Seconds by which a clock reading may be wrong on a busy machine."""


@pytest.fixture(scope="module", params=[AN_HOUR, -AN_HOUR], ids=["ahead", "behind"])
def offset(request: pytest.FixtureRequest) -> int:
    """Seconds that worker, API and command line are ahead of PostgreSQL, Redis, Temporal and this test."""
    seconds: int = request.param
    return seconds


@pytest.fixture(scope="module")
def off(
    surroundings: dict[str, str], offset: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Skyhold, Service]]:
    directory = tmp_path_factory.mktemp("off")
    own = surroundings | {
        "TEMPORAL_TASK_QUEUE": f"off-{secrets.token_hex(4)}",
        "SEAT_RESERVATION_TIMEOUT": f"{HOLD.seconds}s",
        "RATE_LIMIT": "off",
    }
    runner = Skyhold(own | clock_that_is_off(offset, directory), directory)
    yield runner, runner.start_service()
    runner.end()


@pytest.fixture
async def guest(off: tuple[Skyhold, Service]) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=off[1].address) as client:
        yield client


async def _hold(guest: httpx.AsyncClient, *seats: str, key: str = "") -> dict[str, Any]:
    """Hold the seats, with retries under the same key if a busy machine does not answer in time."""
    name = {"Idempotency-Key": key or secrets.token_urlsafe(16)}

    async def held() -> dict[str, Any] | None:
        reply = await guest.post("/api/orders", json={"flightId": FL101, "seats": seats}, headers=name)
        assert reply.status_code in {201, 503}, reply.text
        order: dict[str, Any] = reply.json()
        return order if reply.status_code == 201 else None

    return await eventually(held)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _now() -> datetime:
    """Return PostgreSQL's time, which is this machine's, truncated to milliseconds as in replies."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


async def _require_exact_life(order_id: str, database_url: str) -> None:
    """Check in the log that the order had exactly the full time for its last seats, by PostgreSQL's clock."""
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch(
        "SELECT status, expires_at, at FROM order_events WHERE order_id = $1 ORDER BY seq", order_id
    )
    await connection.close()
    *_, held, ended = rows
    assert (held["status"], ended["status"]) == ("SEATS_RESERVED", "EXPIRED")
    # The line is written a moment after the seats' rows are locked, when the time starts.
    assert HOLD - BACK_WITHIN < held["expires_at"] - held["at"] <= HOLD
    assert held["expires_at"] <= ended["at"] <= held["expires_at"] + BACK_WITHIN


async def _lives_its_time(guest: httpx.AsyncClient, database_url: str, *seats: str) -> None:
    """Hold the first seat, change to each other one a moment later, and check that the last is released in time."""
    first, *others = seats
    began_at = time.monotonic()
    order = await _hold(guest, first)
    path, token = f"/api/orders/{order['orderId']}", {"Authorization": f"Bearer {order['orderToken']}"}
    for other in others:
        await asyncio.sleep(CHANGED_AFTER.total_seconds())  # the time that a change restores
        began_at = time.monotonic()
        changed = await guest.put(f"{path}/seats", json={"seats": [other]}, headers=token)
        assert changed.status_code == 200, changed.text
        assert _instant(changed.json()["expiresAt"]) - _instant(order["expiresAt"]) >= CHANGED_AFTER
    held_at = time.monotonic()

    async def is_over() -> bool:
        body = (await guest.get(f"{path}/status", headers=token)).json()
        return bool(body["status"] == "EXPIRED")

    await eventually(is_over)
    over_at = time.monotonic()
    assert over_at - began_at >= HOLD.total_seconds()
    assert over_at - held_at <= (HOLD + BACK_WITHIN).total_seconds()
    await _require_exact_life(order["orderId"], database_url)


async def test_a_hold_lives_exactly_its_time_and_all_of_it_again_after_a_change(
    guest: httpx.AsyncClient, surroundings: dict[str, str]
) -> None:
    await asyncio.gather(
        _lives_its_time(guest, surroundings["DATABASE_URL"], "1A"),
        _lives_its_time(guest, surroundings["DATABASE_URL"], "1B", "1C"),
    )


async def test_every_instant_that_is_told_is_postgresqls(guest: httpx.AsyncClient) -> None:
    asked_at = _now()
    order = await _hold(guest, "2A")
    assert asked_at <= _instant(order["serverTime"]) <= _now()
    assert asked_at + HOLD <= _instant(order["expiresAt"]) <= _now() + HOLD
    async with guest.stream("GET", f"/api/orders/{order['orderId']}/events") as stream:
        first = await anext(line async for line in stream.aiter_lines() if line.startswith("data:"))
    status = (await guest.get(f"/api/orders/{order['orderId']}/status")).json()
    for told in (json.loads(first.removeprefix("data:")), status):
        assert asked_at <= _instant(told["serverTime"]) <= _now()
        assert told["expiresAt"] == order["expiresAt"]
        left = _instant(told["expiresAt"]) - _instant(told["serverTime"])
        # Replies have instants in milliseconds.
        assert left.total_seconds() - 0.002 <= told["timerRemaining"] < left.total_seconds() + 1.002
        assert told["timerRemaining"] <= HOLD.seconds
    page = await guest.get(f"/orders/{order['orderId']}")
    assert re.search(rf"held for you for another [1-{HOLD.seconds}] seconds?\b", page.text)
    assert (await guest.delete(f"/api/orders/{order['orderId']}")).status_code == 204


async def test_a_booking_is_paid_by_its_guest_and_by_its_token(guest: httpx.AsyncClient, offset: int) -> None:
    seat, key = "3A" if offset > 0 else "3B", secrets.token_urlsafe(16)
    order, again = [await _hold(guest, seat, key=key) for _ in range(2)]
    assert again == order | {"serverTime": again["serverTime"]}
    path = f"/api/orders/{order['orderId']}"
    paid = await guest.post(f"{path}/pay", json={"paymentCode": "99999"}, headers={"Idempotency-Key": key * 2})
    assert paid.status_code == 202, paid.text
    token = {"Authorization": f"Bearer {order['orderToken']}"}
    async with httpx.AsyncClient(base_url=guest.base_url, headers=token) as bearer:

        async def is_confirmed() -> bool:
            return bool((await bearer.get(f"{path}/status")).json()["status"] == "CONFIRMED")

        await eventually(is_confirmed)
    own = (await guest.get("/api/orders")).json()["orders"]  # by the cookie
    assert [one["orderId"] for one in own] == [order["orderId"]]


async def test_readyz_the_doctor_and_the_worker_name_the_offset(
    guest: httpx.AsyncClient, off: tuple[Skyhold, Service], offset: int
) -> None:
    skyhold, service = off

    async def is_off_in_nothing_else() -> httpx.Response | None:
        """Return the reply once only the clock is off; on a busy machine servers may answer too late."""
        reply = await guest.get("/readyz")
        return reply if [name for name, said in reply.json()["checks"].items() if said != "ok"] == ["clock"] else None

    # The worker counts as running: it polled a moment ago, whatever its clock.
    reply = await eventually(is_off_in_nothing_else)
    checks = reply.json()["checks"]
    assert (reply.status_code, reply.json()["status"]) == (200, "degraded")
    assert _offset_in(checks["clock"]) == pytest.approx(offset, abs=NEARLY)
    doctor = skyhold.run_until(1, "doctor", "--json")
    findings = {finding["name"]: finding for finding in json.loads(doctor.stdout)}
    assert doctor.returncode == 1
    assert findings["clock"]["health"] == "bad"
    assert _offset_in(findings["clock"]["detail"]) == pytest.approx(offset, abs=NEARLY)
    assert "NTP" in findings["clock"]["remedy"]
    (warning,) = [line for line in service.worker.errors.read_text().splitlines() if "skyhold.cli.worker" in line]
    assert "warning" in warning
    assert "NTP" in warning
    assert _offset_in(warning) == pytest.approx(offset, abs=NEARLY)


def _offset_in(told: str) -> float:
    match = re.search(r"\boff by ([+-][0-9]+\.[0-9]) s from PostgreSQL's clock", told)
    assert match, told
    return float(match[1])
