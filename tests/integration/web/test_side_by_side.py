"""The status over HTTP equals the booking's own status query, on every path.

One reads the ledger, the other the workflow; a difference lasts less than a second.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import Client

from skyhold.bootstrap.temporal import connect_temporal
from skyhold.messages import BOOKING_STATUS, UPDATE_SEATS
from skyhold.settings import Settings
from skyhold_local.embedded.servers import Servers
from support.services import TERMINAL, Service, eventually, running_service

pytestmark = pytest.mark.rest

DIFFER_AT_MOST = 1.0
LOOKS_APART = 0.03

Path = Callable[[Service, dict[str, Any]], Awaitable[None]]


@dataclass
class SideBySide:
    """Reads both repeatedly, and records the longest difference and all values."""

    service: Service
    client: Client
    order: dict[str, Any]
    longest: float = 0.0
    seen: list[tuple[str, int]] = field(default_factory=list)
    differed_in: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    async def watch(self) -> None:
        """Read both until they show that the order has ended."""
        differ_since: float | None = None
        while True:
            status = await self.service.status(self.order["orderId"])
            query = await self.client.get_workflow_handle(self.order["workflowId"]).query(BOOKING_STATUS)
            self.seen.append((status["status"], status["paymentAttempts"]))
            difference = _difference(status, query)
            if difference:
                differ_since = differ_since or time.monotonic()
                if time.monotonic() - differ_since > self.longest:
                    self.longest, self.differed_in = time.monotonic() - differ_since, difference
            else:
                differ_since = None
                if status["status"] in TERMINAL:
                    return
            await asyncio.sleep(LOOKS_APART)


def _difference(status: dict[str, Any], query: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = {"orderId", "flightId", "status", "seats", "expiresAt", "paymentAttempts", "reference"}
    names |= {"lastError", "failureCode", "failureReason"}
    found = {name: (status.get(name), query.get(name)) for name in names if status.get(name) != query.get(name)}
    if abs(status["timerRemaining"] - query["timerRemaining"]) > 1:
        found["timerRemaining"] = (status["timerRemaining"], query["timerRemaining"])
    return found


async def change_and_pay(service: Service, order: dict[str, Any]) -> None:
    await service.change(order["orderId"], "2B", "2C")
    await service.pay(order["orderId"])


async def refused_signal_and_cancel(service: Service, order: dict[str, Any]) -> None:
    await service.hold("1F")
    handle = (await connect_temporal()).get_workflow_handle(order["workflowId"])
    await handle.signal(UPDATE_SEATS, {"seats": ["1F"]})

    async def is_told() -> bool:
        return "lastError" in await service.status(order["orderId"])

    assert await eventually(is_told)
    await asyncio.sleep(0.2)  # time for more reads of an unchanged order; nothing is awaited
    await service.cancel(order["orderId"])


async def decline(service: Service, order: dict[str, Any]) -> None:
    await service.pay(order["orderId"], "00000")


async def pay_in_vain(service: Service, order: dict[str, Any]) -> None:
    await service.pay(order["orderId"], "12345")


async def expire(_: Service, __: dict[str, Any]) -> None:
    """Do nothing."""


@pytest.fixture
async def busy(settings: Settings, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    """A service with a slow gateway that approves only the fixed code."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", servers.temporal_address)
    slow = {"payment_simulated_latency": (timedelta(seconds=0.3),) * 2, "payment_failure_rate": 1.0}
    short = {"seat_reservation_timeout": timedelta(seconds=3)}
    async with running_service(settings.model_copy(update=slow | short)) as service:
        yield service


@pytest.mark.quiet
@pytest.mark.parametrize(
    ("path", "end", "attempts"),
    [
        (change_and_pay, "CONFIRMED", {1}),
        (refused_signal_and_cancel, "FAILED", set[int]()),
        (decline, "FAILED", {1}),
        (pay_in_vain, "FAILED", {1, 2, 3}),
        (expire, "EXPIRED", set[int]()),
    ],
)
async def test_status_and_query_tell_the_same_all_the_way(
    path: Path, end: str, attempts: set[int], busy: Service
) -> None:
    order = await busy.hold("2A")
    both = SideBySide(busy, await connect_temporal(), order)
    async with asyncio.timeout(30):
        watching = asyncio.create_task(both.watch())
        await path(busy, order)
        await watching
    assert both.longest < DIFFER_AT_MOST, both.differed_in
    assert both.seen[-1][0] == end
    processing = {attempt for status, attempt in both.seen if status == "PAYMENT_PROCESSING"}
    assert processing >= attempts - ({1} if len(attempts) == 1 else set())
