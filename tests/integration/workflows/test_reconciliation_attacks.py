"""States that the reconciler must not take for an order's end, and states that must not block it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse
from temporalio.client import Client, WorkflowFailureError
from temporalio.service import RPCError, RPCStatusCode, WorkflowService

from skyhold.activities import reconciliation as activities
from skyhold.activities.booking_runs import AnotherNamespaceError, BookingRuns
from skyhold.bootstrap.reconciliation import reconciliation_of
from skyhold.domain.seats import SeatKey
from skyhold.messages import RECONCILIATION_WORKFLOW
from skyhold.postgresql.pools import Pool
from skyhold.readers.seat_locks import lock_name
from skyhold.workflows import reconciliation
from support.audits import audit_of, told
from support.bookings import FL101, Bookings, OpenWorld
from support.gateways import Act
from support.separate_workers import split_world

pytestmark = pytest.mark.rest


async def _troubles(world: Bookings) -> list[tuple[str, str | None, bool]]:
    report = await world.reconcile()
    return [(finding.trouble.value, finding.order_id, finding.is_mended) for finding in report.findings]


def _let_describe(monkeypatch: pytest.MonkeyPatch, change: Callable[[str, Any], Any]) -> None:
    """Apply this change to Temporal's answers about workflows."""
    describe = WorkflowService.describe_workflow_execution

    async def describe_changed(self: WorkflowService, ask: Any, **options: Any) -> Any:
        return change(ask.execution.workflow_id, await describe(self, ask, **options))

    monkeypatch.setattr(WorkflowService, "describe_workflow_execution", describe_changed)


@pytest.mark.parametrize("status", [WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_PAUSED, 99])
async def test_a_workflow_that_is_paused_or_of_an_unknown_status_may_go_on(
    open_world: OpenWorld, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    world = await open_world()
    paused, lost = await world.hold(["1A"]), await world.hold(["1B"])
    await paused.terminate()  # so that the list of running workflows omits it
    await lost.terminate()

    def change(workflow_id: str, reply: DescribeWorkflowExecutionResponse) -> DescribeWorkflowExecutionResponse:
        if workflow_id == paused.handle.id:
            reply.workflow_execution_info.status = status  # type: ignore[assignment]
        return reply

    _let_describe(monkeypatch, change)

    assert await _troubles(world) == [("lostOrder", lost.order_id, True)]
    assert await paused.seats() == {"1A": "reserved"}


async def test_what_a_server_in_the_place_of_ours_does_not_know_may_well_be_running(
    temporal_client: Client,
) -> None:
    runs = BookingRuns(temporal_client, "any-queue", namespace_id="of-a-server-that-is-gone")
    with pytest.raises(AnotherNamespaceError):
        await runs.find("booking-that-never-was")

    config = temporal_client.config()
    elsewhere = Client(**config | {"namespace": "no-such-namespace"})
    with pytest.raises(RPCError, match="no-such-namespace is not found"):
        await BookingRuns(elsewhere, "any-queue", namespace_id="any").find("booking-that-never-was")


async def test_an_order_of_which_temporal_says_nothing_is_skipped_and_the_others_are_mended(
    open_world: OpenWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await open_world()
    bookings = [await world.hold([f"{row}A"]) for row in range(1, 4)]
    for booking in bookings:
        await booking.terminate()
    silent = bookings[0]
    times = 0

    def change(workflow_id: str, reply: DescribeWorkflowExecutionResponse) -> DescribeWorkflowExecutionResponse:
        nonlocal times
        if workflow_id == silent.handle.id:
            times += 1
            if times > 1:  # the survey sees it, the examination does not
                raise RPCError("not now", RPCStatusCode.UNAVAILABLE, b"")
        return reply

    _let_describe(monkeypatch, change)

    assert {order_id for _, order_id, _ in await _troubles(world)} == {booking.order_id for booking in bookings[1:]}
    assert await silent.seats() == {"1A": "reserved"}


async def test_a_gateway_that_does_not_answer_keeps_no_held_order_waiting(open_world: OpenWorld) -> None:
    world = await open_world(Act.HANG)
    paying, held = await world.hold(["1A"]), await world.hold(["1B"])
    await world.bookings.pay(paying.order_id, "12345")
    await asyncio.wait_for(world.gateway.is_asked.wait(), 10)
    for booking in (paying, held):
        await booking.terminate()
    world.gateway.may_settle.clear()

    run = await world.client.start_workflow(
        RECONCILIATION_WORKFLOW, id=f"reconciliation-{uuid.uuid4()}", task_queue=world.task_queue
    )
    await held.until_status("FAILED", within=10)

    assert (await paying.row())["status"] == "PAYMENT_PROCESSING"
    world.gateway.may_settle.set()
    assert len(reconciliation_of(await run.result()).findings) == 2


async def test_a_reconciler_that_is_cancelled_ends(open_world: OpenWorld) -> None:
    world = await open_world(Act.HANG)
    booking = await world.hold(["1A"])
    await world.bookings.pay(booking.order_id, "12345")
    await asyncio.wait_for(world.gateway.is_asked.wait(), 10)
    await booking.terminate()
    world.gateway.may_settle.clear()
    run = await world.client.start_workflow(
        RECONCILIATION_WORKFLOW, id=f"reconciliation-{uuid.uuid4()}", task_queue=world.task_queue
    )
    await asyncio.wait_for(world.gateway.is_settling.wait(), 10)

    await run.cancel()

    with pytest.raises(WorkflowFailureError):
        await asyncio.wait_for(run.result(), 20)
    world.gateway.may_settle.set()


async def test_odd_things_under_the_names_of_locks_are_left_to_a_person_and_hinder_nothing(
    open_world: OpenWorld, redis: Redis
) -> None:
    world = await open_world()
    held, bare = await world.hold(["1A"]), await world.hold(["1B"])
    await redis.delete(lock_name(SeatKey(FL101, "1A")), lock_name(SeatKey(FL101, "1B")))
    await redis.rpush(lock_name(SeatKey(FL101, "1A")), "a list")
    await redis.set(lock_name(SeatKey(FL101, "1C")), b"\xff\xfe no text")
    await redis.set(lock_name(SeatKey(FL101, "1D")), "x" * 1_000_000)
    await redis.set(b"seat:lock:{\xff\xfe}:1A", "no name")
    await redis.set(f"seat:lock:{{{{{FL101}}}}}:1B", bare.order_id, ex=600)  # too many braces
    await redis.set(f"seat:lock:{FL101}:1B", "somebody", ex=600)  # too few
    await redis.set(f"seat:lock:{{{FL101.upper()}}}:1E", "somebody", ex=600)
    keys = await redis.dbsize()

    assert await _troubles(world) == [("holdWithoutLock", bare.order_id, True)]

    assert await redis.get(lock_name(SeatKey(FL101, "1B"))) == bare.order_id
    assert await redis.dbsize() == keys + 1
    assert await _troubles(world) == []
    assert await held.seats() == {"1A": "reserved"}


async def test_an_order_that_was_only_born_is_ended(open_world: OpenWorld) -> None:
    world = await open_world()
    await world.pool.execute(
        """INSERT INTO orders (id, workflow_id, chain, namespace_id, status, policy)
           VALUES ('born', 'booking-born', 'a-chain', 'namespace-of-tests', 'CREATED', '{}')"""
    )

    assert await _troubles(world) == [("lostOrder", "born", True)]

    row = await world.pool.fetchrow("SELECT status, failure_code, step FROM orders WHERE id = 'born'")
    assert row is not None
    assert tuple(row) == ("FAILED", "INTERNAL", 1)
    assert [event for event in told(await audit_of(world).run()) if event[1] == "born"] == []


async def test_a_second_start_under_a_lost_orders_id_changes_nothing_and_the_order_is_ended(
    open_world: OpenWorld,
) -> None:
    world = await open_world()
    booking = await world.hold(["1A"])
    await booking.terminate()
    second = await world.start(["1B"], order_id=booking.order_id)
    assert (await second.result())["failureCode"] == "ORDER_ID_TAKEN"

    assert await _troubles(world) == [("lostOrder", booking.order_id, True)]
    assert (await booking.row())["failure_code"] == "INTERNAL"
    assert told(await audit_of(world).run()) == []


@pytest.mark.parametrize("bound", ["MAX_SURVEY_AGE", "START_CUTOFF"])
async def test_what_was_found_too_long_ago_or_would_take_too_long_is_left_to_the_next_run(
    temporal_client: Client, pool: Pool, redis_url: str, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    async with split_world(temporal_client, pool, redis_url) as world, world.workflow_worker():
        booking = await world.hold(["1A"])
        await booking.terminate()
        with monkeypatch.context() as impatient:
            impatient.setattr(reconciliation, bound, timedelta(seconds=-1))
            report = await world.reconcile()
        assert (report.findings, report.is_complete) == ((), False)
        assert await booking.seats() == {"1A": "reserved"}

        assert await _troubles(world) == [("lostOrder", booking.order_id, True)]


async def test_more_troubles_than_one_run_takes_are_left_to_the_next(
    open_world: OpenWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await open_world()
    bookings = [await world.hold([f"{row}A"]) for row in range(1, 8)]
    for booking in bookings:
        await booking.terminate()
    monkeypatch.setattr(activities, "FINDINGS_LIMIT", 3)
    monkeypatch.setattr(activities, "SUSPECTS_LIMIT", 5)

    reports = [await world.reconcile() for _ in range(3)]

    assert [(len(report.findings), report.is_complete) for report in reports] == [(3, False), (3, False), (1, True)]
    assert await world.locks() == {}


async def test_a_temporal_that_lost_its_data_under_a_worker_makes_no_order_a_lost_one(
    open_world: OpenWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await open_world()
    booking = await world.hold(["1A"])
    await booking.terminate()
    before = await booking.row()

    async def say_nothing(*_: object) -> None:
        raise AnotherNamespaceError

    monkeypatch.setattr(BookingRuns, "find", say_nothing)
    report = await world.reconcile()

    assert (report.findings, report.is_complete) == ((), False)
    assert await booking.row() == before
