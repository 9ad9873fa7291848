"""The reconciler's schedule is created once, however many workers start, with the settings of the last one."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from temporalio.client import Client, ScheduleDescription
from temporalio.service import RPCError

from skyhold.bootstrap.reconciliation import ensure_schedule, kept_schedule, schedule_id
from support.bookings import until

pytestmark = pytest.mark.rest

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def task_queue(temporal_client: Client) -> AsyncIterator[str]:
    queue = f"queue-{uuid.uuid4()}"
    yield queue
    await temporal_client.get_schedule_handle(schedule_id(queue)).delete()


async def _described(client: Client, task_queue: str) -> ScheduleDescription:
    return await client.get_schedule_handle(schedule_id(task_queue)).describe()


async def test_many_workers_that_start_at_once_make_one_schedule(temporal_client: Client, task_queue: str) -> None:
    await asyncio.gather(*(ensure_schedule(temporal_client, task_queue=task_queue, interval=MINUTE) for _ in range(8)))
    described = await _described(temporal_client, task_queue)
    assert [interval.every for interval in described.schedule.spec.intervals] == [MINUTE]


async def test_another_interval_is_taken_over_and_a_pause_is_kept(temporal_client: Client, task_queue: str) -> None:
    await ensure_schedule(temporal_client, task_queue=task_queue, interval=MINUTE)
    await temporal_client.get_schedule_handle(schedule_id(task_queue)).pause(note="a person looks at something")

    await ensure_schedule(temporal_client, task_queue=task_queue, interval=2 * MINUTE)

    described = await _described(temporal_client, task_queue)
    assert [interval.every for interval in described.schedule.spec.intervals] == [2 * MINUTE]
    assert described.schedule.state.paused
    assert described.schedule.state.note == "a person looks at something"


async def test_runs_that_nobody_takes_do_not_pile_up(temporal_client: Client, task_queue: str) -> None:
    await ensure_schedule(temporal_client, task_queue=task_queue, interval=timedelta(seconds=1))

    async def has_skipped() -> bool:
        return (await _described(temporal_client, task_queue)).info.num_actions_skipped_overlap >= 2

    await until(has_skipped, what="runs that are skipped while one waits")
    assert len((await _described(temporal_client, task_queue)).info.running_actions) == 1


async def test_a_schedule_that_somebody_deleted_comes_back_and_an_interval_is_taken_over_only_at_the_start(
    temporal_client: Client, task_queue: str
) -> None:
    soon = timedelta(seconds=0.1)
    async with (
        kept_schedule(temporal_client, task_queue=task_queue, interval=MINUTE, every=soon),
        kept_schedule(temporal_client, task_queue=task_queue, interval=2 * MINUTE, every=soon),
    ):
        await asyncio.sleep(1)  # time in which each checks several times
        described = await _described(temporal_client, task_queue)
        assert [interval.every for interval in described.schedule.spec.intervals] == [2 * MINUTE]

        await temporal_client.get_schedule_handle(schedule_id(task_queue)).delete()

        async def is_back() -> bool:
            try:
                await _described(temporal_client, task_queue)
            except RPCError:
                return False
            return True

        await until(is_back, what="the schedule")
