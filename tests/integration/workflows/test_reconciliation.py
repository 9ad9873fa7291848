"""The reconciler repairs the remains of terminated, reset and forgotten workflows, and leaves live bookings alone."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis
from temporalio import workflow
from temporalio.client import Client, WorkflowExecutionStatus

from skyhold.activities import reconciliation
from skyhold.domain.orders import FailureCode, Policy
from skyhold.domain.seats import SeatKey
from skyhold.messages import BOOKING_WORKFLOW, FailOrder, Outcome
from skyhold.postgresql.pools import Pool
from skyhold.readers.seat_locks import lock_name
from skyhold.workflows.reconciliation import ReconciliationWorkflow
from support.audits import audit_of, told
from support.bookings import FL101, Booking, Bookings, OpenWorld, until
from support.gateways import Act
from support.separate_workers import split_world

pytestmark = pytest.mark.rest


async def _let_lapse(booking: Booking) -> None:
    """Move the end of the hold into the past; no clock changes."""
    await booking.world.pool.execute(
        "UPDATE orders SET expires_at = clock_timestamp() - interval '1 second' WHERE id = $1", booking.order_id
    )


async def _troubles(world: Bookings) -> list[tuple[str, str | None, bool]]:
    report = await world.reconcile()
    return [(finding.trouble.value, finding.order_id, finding.is_mended) for finding in report.findings]


async def _findings_in_log(booking: Booking) -> list[str]:
    rows = await booking.world.pool.fetch(
        "SELECT finding FROM order_events WHERE order_id = $1 AND finding IS NOT NULL ORDER BY seq", booking.order_id
    )
    return [row["finding"] for row in rows]


async def test_what_is_alive_is_left_alone(open_world: OpenWorld) -> None:
    world = await open_world(Act.WAIT)
    held, paying = await world.hold(["1A"]), await world.hold(["1B"])
    await world.bookings.pay(paying.order_id, "12345")
    await paying.until_status("PAYMENT_PROCESSING")
    before = [await booking.row() for booking in (held, paying)]

    assert await _troubles(world) == []

    assert [await booking.row() for booking in (held, paying)] == before
    world.gateway.go_on.set()
    assert (await paying.result())["status"] == "CONFIRMED"


async def test_a_terminated_hold_gives_its_seats_back(open_world: OpenWorld) -> None:
    world = await open_world()
    booking = await world.hold(["1A", "1B"])
    await booking.terminate()

    assert await _troubles(world) == [("lostOrder", booking.order_id, True)]

    row = await booking.row()
    assert (row["status"], row["failure_code"]) == ("FAILED", "INTERNAL")
    assert await booking.seats() == {}
    assert await world.locks() == {}
    assert await booking.path() == ["CREATED", "SEATS_RESERVED", "SEATS_RESERVED", "FAILED"]
    assert await _findings_in_log(booking) == ["The order is SEATS_RESERVED, but its workflow is terminated."]
    assert await _troubles(world) == []


async def test_a_terminated_hold_whose_time_is_up_expires(open_world: OpenWorld) -> None:
    world = await open_world()
    booking = await world.hold(["1A"])
    await booking.terminate()
    await _let_lapse(booking)

    assert await _troubles(world) == [("lostOrder", booking.order_id, True)]

    assert (await booking.row())["status"] == "EXPIRED"
    assert await booking.seats() == {}


@pytest.mark.parametrize(
    ("act", "end", "captures"),
    [(Act.FAIL_AFTER_CAPTURE, "CONFIRMED", (1, 0)), (Act.HANG, "FAILED", (0, 0))],
    ids=["charged", "not charged"],
)
async def test_a_payment_that_was_terminated_is_confirmed_if_it_was_charged_and_shut_out_if_not(
    open_world: OpenWorld, act: Act, end: str, captures: tuple[int, int]
) -> None:
    world = await open_world(act)
    booking = await world.hold(["1A"])
    await world.bookings.pay(booking.order_id, "12345")
    await asyncio.wait_for(world.gateway.is_asked.wait(), 10)
    if act is Act.FAIL_AFTER_CAPTURE:
        await until(lambda: _is_captured(booking), what="the capture")
    await booking.terminate()

    assert await _troubles(world) == [("lostOrder", booking.order_id, True)]

    assert (await booking.row())["status"] == end
    assert await booking.captures() == captures
    assert await booking.seats() == ({"1A": "booked"} if end == "CONFIRMED" else {})
    assert await world.locks() == {}


async def test_a_capture_whose_seats_were_lost_is_paid_back(open_world: OpenWorld) -> None:
    world = await open_world(Act.FAIL_AFTER_CAPTURE)
    booking = await world.hold(["1A"])
    await world.bookings.pay(booking.order_id, "12345")
    await until(lambda: _is_captured(booking), what="the capture")
    await booking.terminate()
    await world.pool.execute(
        "UPDATE seats SET status = 'available', order_id = NULL, held_until = NULL, version = version + 1 WHERE order_id = $1",
        booking.order_id,
    )

    report = await world.reconcile()

    assert [finding.result for finding in report.findings] == ["The money was given back."]
    row = await booking.row()
    assert (row["status"], row["failure_code"]) == ("FAILED", "SEATS_LOST")
    assert await booking.captures() == (1, 1)


async def test_a_refund_that_nobody_paid_is_paid_once(open_world: OpenWorld) -> None:
    world = await open_world()
    booking = await world.hold(["1A"])
    world.gateway.may_settle.clear()
    await world.bookings.pay(booking.order_id, "12345")
    await booking.result()
    await world.pool.execute(
        """UPDATE seats SET status = 'available', order_id = NULL, version = version + 1 WHERE order_id = $1""",
        booking.order_id,
    )
    await world.pool.execute(
        "UPDATE orders SET status = 'FAILED', failure_code = 'REFUNDED' WHERE id = $1", booking.order_id
    )
    await world.pool.execute("UPDATE payments SET state = 'refund_due' WHERE order_id = $1", booking.order_id)
    world.gateway.may_settle.set()

    assert await _troubles(world) == [("refundDue", booking.order_id, True)]

    assert await booking.captures() == (1, 1)
    assert await _findings_in_log(booking) == ["A refund is due, but the order's workflow is completed."]
    assert await _troubles(world) == []


async def test_money_that_the_gateway_took_for_an_order_that_ended_is_paid_back(open_world: OpenWorld) -> None:
    world = await open_world()
    booking = await world.hold(["1A"])
    await world.bookings.pay(booking.order_id, "00000")
    assert (await booking.result())["failureCode"] == "PAYMENT_DECLINED"
    await world.pool.execute(
        """UPDATE gateway_statement SET state = 'captured', captures = 1, amount_cents = 35000
           WHERE key = (SELECT payment_key FROM orders WHERE id = $1)""",
        booking.order_id,
    )

    assert await _troubles(world) == [("strayCharge", booking.order_id, True)]

    assert await booking.captures() == (1, 1)
    payment = await booking.payment()
    assert payment is not None
    assert (payment["state"], payment["captured_cents"], payment["refunded_cents"]) == ("refunded", 35000, 35000)
    assert (await booking.path())[-2:] == ["FAILED", "FAILED"]
    assert await _troubles(world) == []


async def test_orders_of_another_namespace_are_told_and_left_alone(open_world: OpenWorld) -> None:
    world = await open_world()
    booking = await world.hold(["1A"])
    await booking.terminate()
    await _let_lapse(booking)
    await world.pool.execute("UPDATE orders SET namespace_id = 'of-others' WHERE id = $1", booking.order_id)
    await world.redis.flushall()
    before = await booking.row()

    report = await world.reconcile()

    assert (report.findings, report.foreign_orders) == ((), {"of-others": 1})
    assert await booking.row() == before
    assert await world.locks() == {}


@workflow.defn(name=BOOKING_WORKFLOW)
class BrokenBooking:
    """The booking's workflow in a bad release: every task of it fails."""

    @workflow.run
    async def run(self, *_payloads: Any) -> None:
        raise RuntimeError("a bad release")


@pytest.mark.long  # Temporal's backoff of a failed task grows
async def test_a_workflow_that_fails_its_task_for_ever_is_ended_and_its_order_expires(
    temporal_client: Client, pool: Pool, redis_url: str
) -> None:
    async with split_world(temporal_client, pool, redis_url, policy=Policy(hold_seconds=3)) as world:
        async with world.workflow_worker():
            booking = await world.hold(["1A"])
        async with world.workflow_worker(BrokenBooking, ReconciliationWorkflow):
            await until(lambda: _fails_for_ever(booking), within=60, what="five failed tasks")

            assert await _troubles(world) == [("stuckWorkflow", booking.order_id, True)]

        assert (await booking.row())["status"] == "EXPIRED"
        assert await booking.seats() == {}
        described = await booking.handle.describe()
        assert described.status is WorkflowExecutionStatus.TERMINATED


async def _fails_for_ever(booking: Booking) -> bool:
    described = await booking.handle.describe()
    lapsed = await booking.world.pool.fetchval(
        "SELECT expires_at < clock_timestamp() FROM orders WHERE id = $1", booking.order_id
    )
    return bool(lapsed) and described.raw_description.pending_workflow_task.attempt > 5


async def test_a_workflow_without_an_open_order_is_ended_after_a_minute(
    temporal_client: Client, pool: Pool, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with split_world(temporal_client, pool, redis_url) as world:
        async with world.workflow_worker():
            ended, held = await world.hold(["1A"]), await world.hold(["1B"])
        # No worker runs bookings any more, so their workflows do not see changes of their orders.
        unknown = await world.start(["1C"])
        await pool.execute(
            """WITH freed AS (UPDATE seats SET status = 'available', order_id = NULL, held_until = NULL,
                                               version = version + 1 WHERE order_id = $1)
               UPDATE orders SET status = 'FAILED', failure_code = 'INTERNAL' WHERE id = $1""",
            ended.order_id,
        )
        async with world.workflow_worker(ReconciliationWorkflow):
            assert [trouble for trouble in await _troubles(world) if trouble[0] == "workflowWithoutOrder"] == []
            monkeypatch.setattr(reconciliation, "GRACE", timedelta(0))
            found = await _troubles(world)

        assert sorted(found, key=str) == sorted(
            [("workflowWithoutOrder", booking.order_id, True) for booking in (ended, unknown)], key=str
        )
        assert [(await booking.handle.describe()).status for booking in (ended, unknown, held)] == [
            WorkflowExecutionStatus.TERMINATED,
            WorkflowExecutionStatus.TERMINATED,
            WorkflowExecutionStatus.RUNNING,
        ]
        assert await _findings_in_log(ended) == [
            "A lock without a hold: 1A.",
            f"The workflow {ended.handle.id} ran on although its order has been FAILED for longer than a minute.",
        ]


async def test_a_worker_with_another_ledger_ends_no_workflow(
    temporal_client: Client, pool: Pool, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciliation, "GRACE", timedelta(0))
    async with split_world(temporal_client, pool, redis_url) as world:
        booking = await world.start(["1A"])
        async with world.workflow_worker(ReconciliationWorkflow):
            assert await _troubles(world) == [], "in this ledger there never was an order of theirs"
        assert (await booking.handle.describe()).status is WorkflowExecutionStatus.RUNNING
        await booking.handle.terminate()


async def test_one_reconciler_beside_another_mends_each_thing_once(open_world: OpenWorld) -> None:
    world = await open_world()
    bookings = [await world.hold([f"{row}A"]) for row in range(1, 9)]
    await asyncio.gather(*(booking.terminate() for booking in bookings))

    reports = await asyncio.gather(*(world.reconcile() for _ in range(3)))

    mended = [finding.order_id for report in reports for finding in report.findings if finding.is_mended]
    # The same step gets the same answer, so more than one of them may report it as done.
    assert set(mended) == {booking.order_id for booking in bookings}
    for booking in bookings:
        assert len(await _findings_in_log(booking)) == 1
        assert (await booking.path())[-1] == "FAILED"


async def test_a_seat_that_somebody_holds_again_is_not_freed_by_a_reconciler_that_is_late(
    open_world: OpenWorld,
) -> None:
    world = await open_world()
    booking = await world.hold(["1A"])
    await booking.terminate()
    found = await world.run_activity("ExamineOrder", booking.order_id)
    assert found is not None
    again = await booking.reset(to_first=True, forget_messages=False)
    await world.bookings.update_seats(again.order_id, ["1B"])

    late = await world.run_activity("FailOrder", FailOrder(found.step, FailureCode.INTERNAL, "too late"))

    assert late.outcome is Outcome.STALE
    assert await again.seats() == {"1B": "reserved"}


async def test_locks_are_brought_in_line_with_holds(open_world: OpenWorld, redis: Redis) -> None:
    world = await open_world()
    lost, taken, endless = await world.hold(["1A"]), await world.hold(["1B"]), await world.hold(["1C"])
    await redis.delete(lock_name(SeatKey(FL101, "1A")))
    await redis.set(lock_name(SeatKey(FL101, "1B")), "another-order", ex=60)
    await redis.persist(lock_name(SeatKey(FL101, "1C")))
    await redis.set(lock_name(SeatKey(FL101, "9F")), "an-order-that-never-was", ex=600)
    await redis.set("seat:lock:{not-a-flight}:1A", "of-somebody-else", ex=600)

    found = await _troubles(world)

    assert sorted(found, key=str) == sorted(
        [
            ("holdWithoutLock", lost.order_id, True),
            ("wrongLock", taken.order_id, True),
            ("wrongLock", endless.order_id, True),
            ("lockWithoutHold", "an-order-that-never-was", True),
        ],
        key=str,
    )
    keys = [lock_name(SeatKey(FL101, seat)) for seat in ("1A", "1B", "1C", "9F")]
    assert await redis.mget(keys) == [lost.order_id, taken.order_id, endless.order_id, None]
    assert all([await redis.ttl(key) > 800 for key in keys[:3]])
    assert await redis.get("seat:lock:{not-a-flight}:1A") == "of-somebody-else"
    assert await _troubles(world) == []


async def test_a_lock_that_a_sold_seat_kept_goes_and_the_log_of_its_order_stays_sound(
    open_world: OpenWorld, redis: Redis
) -> None:
    world = await open_world()
    booking = await world.hold(["1A"])
    await world.bookings.pay(booking.order_id, "99999")
    assert (await booking.result())["status"] == "CONFIRMED"
    await redis.set(lock_name(SeatKey(FL101, "1A")), booking.order_id, ex=600)

    assert await _troubles(world) == [("lockWithoutHold", booking.order_id, True)]

    assert await world.locks() == {}
    assert await _findings_in_log(booking) == ["A lock without a hold: 1A."]
    assert told(await audit_of(world).run()) == []


async def test_a_booking_that_was_reset_in_time_is_not_the_reconcilers(open_world: OpenWorld) -> None:
    world = await open_world()
    booking = await world.hold(["1A"])
    await booking.terminate()
    again = await booking.reset(to_first=True, forget_messages=False)

    assert await _troubles(world) == []

    await world.bookings.pay(again.order_id, "99999")
    assert (await again.result())["status"] == "CONFIRMED"


async def _is_captured(booking: Booking) -> bool:
    return await booking.captures() == (1, 0)
