"""Overdue orders whose workflow runs: the audit finds them, the reconciler reports the failing step."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from skyhold.activities import booking_runs, reconciliation
from skyhold.activities.failing_steps import FailingSteps, error_name
from skyhold.audit.workflows import find_workflows
from skyhold.domain.errors import DatabaseUnavailable
from skyhold.domain.orders import Policy
from skyhold.messages import BOOKING_WORKFLOW
from skyhold.postgresql.pools import Pool
from skyhold.queries.audit import AuditQueries
from skyhold.queries.database import Database
from skyhold.readers.booking_runs import FailingStep
from skyhold.reconciliation_messages import Repair
from skyhold.workflows.reconciliation import ReconciliationWorkflow
from support.audits import audit_of, graces, sentences, told, workflows_of
from support.bookings import Booking, Bookings, OpenWorld, until
from support.canaries import CODE, code_told_in
from support.gateways import Act
from support.separate_workers import split_world

pytestmark = pytest.mark.rest

REFUSE_ENDS = f"""
CREATE FUNCTION refuse_ends() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'a fault that names {CODE}' USING ERRCODE = 'insufficient_privilege'; END $$
"""
REFUSE_EXPIRY = """
CREATE TRIGGER refuse_expiry BEFORE UPDATE ON orders FOR EACH ROW
WHEN (NEW.status = 'EXPIRED' AND NEW.guest_hash IS NULL)
EXECUTE FUNCTION refuse_ends()
"""

ALLOW_EXPIRY = "DROP TRIGGER IF EXISTS refuse_expiry ON orders"

RefuseExpiry = Callable[[], Awaitable[None]]


@pytest.fixture
async def refuse_expiry(open_world: OpenWorld, pool: Pool) -> AsyncIterator[RefuseExpiry]:  # noqa: ARG001 - ends before it
    """Lets no order of the test expire, until its end: a worker stops only when the step of an order has succeeded."""

    async def refuse() -> None:
        await pool.execute(REFUSE_ENDS)
        await pool.execute(REFUSE_EXPIRY)

    yield refuse
    await pool.execute(ALLOW_EXPIRY)


@pytest.fixture(autouse=True)
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciliation, "GRACE", timedelta(seconds=0.5))


async def _findings(world: Bookings) -> list[Repair]:
    return list((await world.reconcile()).findings)


async def _until_overdue(booking: Booking, *, by: float = 0.6) -> None:
    async def is_overdue() -> bool:
        overdue: bool = await booking.world.pool.fetchval(
            "SELECT expires_at + make_interval(secs => $2) < clock_timestamp() FROM orders WHERE id = $1",
            booking.order_id,
            by,
        )
        return overdue

    await until(is_overdue, what="the hold to lapse")


async def test_a_step_of_the_ledger_that_fails_again_and_again_is_named(
    open_world: OpenWorld, refuse_expiry: RefuseExpiry
) -> None:
    world = await open_world(hold_seconds=1)
    await refuse_expiry()
    booking = await world.hold(["1A"])
    await _until_overdue(booking)

    [finding] = await _findings(world)

    assert (finding.trouble.value, finding.order_id, finding.is_mended) == ("overdueOrder", booking.order_id, False)
    assert finding.detail.startswith("The order is SEATS_RESERVED and should have ended ")
    assert "Its workflow runs; ExpireOrder fails: " in finding.detail
    assert "InsufficientPrivilegeError" in finding.detail
    assert code_told_in(finding.detail) == ""
    assert finding.result == "It is left to its workflow, which may continue."
    report = await audit_of(world, graces(second_look=0.1)).run()
    assert told(report) == [("I6", booking.order_id)]
    assert sentences(report) == ["the order is SEATS_RESERVED past its deadline, though its workflow is RUNNING"]

    await world.pool.execute(ALLOW_EXPIRY)
    assert (await booking.result())["status"] == "EXPIRED"
    assert await _findings(world) == []


async def test_a_gateway_that_does_not_answer_is_named(open_world: OpenWorld) -> None:
    world = await open_world(Act.FAIL, payment_attempts=1)
    world.gateway.close_fails = True
    booking = await world.hold(["1A"])
    await world.bookings.pay(booking.order_id, "12345")
    await booking.until_status("PAYMENT_PROCESSING")

    async def has_failed() -> bool:
        described = await booking.handle.describe()
        return any(pending.attempt > 1 for pending in described.raw_description.pending_activities)

    await until(has_failed, what="the closing to fail")
    await world.pool.execute(
        "UPDATE seats SET held_until = clock_timestamp() - interval '1 s' WHERE order_id = $1", booking.order_id
    )
    await world.pool.execute(
        "UPDATE orders SET expires_at = clock_timestamp() - interval '1 s' WHERE id = $1", booking.order_id
    )

    [finding] = await _findings(world)

    assert finding.trouble.value == "overdueOrder"
    assert "Its workflow runs; ClosePayment fails: " in finding.detail
    world.gateway.close_fails = False
    assert (await booking.result())["failureCode"] == "PAYMENT_FAILED"


@workflow.defn(name=BOOKING_WORKFLOW)
class BrokenBooking:
    """The booking's workflow in a bad release: every task of it fails."""

    @workflow.run
    async def run(self, *_payloads: object) -> None:
        raise RuntimeError(f"a bad release that names {CODE}")


async def test_a_workflow_whose_tasks_fail_is_named_with_what_fails_them(
    temporal_client: Client, pool: Pool, redis_url: str
) -> None:
    async with split_world(temporal_client, pool, redis_url, policy=Policy(hold_seconds=1)) as world:
        async with world.workflow_worker():
            booking = await world.hold(["1A"])
        async with world.workflow_worker(BrokenBooking, ReconciliationWorkflow):
            await _until_overdue(booking)

            async def has_failed() -> bool:
                described = await booking.handle.describe()
                return described.raw_description.pending_workflow_task.attempt > 1

            await until(has_failed, what="a failed task")
            [finding] = await _findings(world)
        assert finding.trouble.value == "overdueOrder"
        assert "its workflow task fails: " in finding.detail
        assert code_told_in(finding.detail) == ""
        await booking.handle.terminate("the test is over")


async def test_an_order_that_no_worker_answers_for_says_so(
    temporal_client: Client, pool: Pool, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This is the case if TEMPORAL_TASK_QUEUE of the workers has changed."""
    monkeypatch.setattr(booking_runs, "QUERY_TIMEOUT", timedelta(seconds=1))
    async with split_world(temporal_client, pool, redis_url, policy=Policy(hold_seconds=1)) as world:
        async with world.workflow_worker():
            booking = await world.hold(["1A"])
        await _until_overdue(booking)
        examine = next(step for step in world.activities if step.__name__ == "examine_order")
        found = await ActivityEnvironment().run(examine, booking.order_id)
        await booking.handle.terminate("the test is over")
    assert found.finding.endswith("Its workflow runs; no worker on its task queue answers.")


async def test_a_lock_that_is_missing_in_every_run_is_logged_once(
    open_world: OpenWorld, refuse_expiry: RefuseExpiry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An overdue hold gets its lock for 30 s in each run, and lacks it in the next."""
    # A query waits while the step is retried: that is not what this test is about, and three waits are long.
    monkeypatch.setattr(booking_runs, "QUERY_TIMEOUT", timedelta(seconds=1))
    world = await open_world(hold_seconds=1)
    await refuse_expiry()
    booking = await world.hold(["1A", "1B"])
    await _until_overdue(booking)
    runs = []
    for _ in range(3):
        await world.redis.flushdb()
        runs.append({finding.trouble.value for finding in await _findings(world)})
    logged = await world.pool.fetch(
        "SELECT finding FROM order_events WHERE order_id = $1 AND finding IS NOT NULL", booking.order_id
    )
    await world.pool.execute(ALLOW_EXPIRY)
    await booking.result()
    assert runs == [{"overdueOrder", "holdWithoutLock"}] * 3
    assert [row["finding"] for row in logged] == ["A hold without its lock: 1A, 1B."]


async def test_an_order_that_is_only_late_is_no_finding(
    open_world: OpenWorld, refuse_expiry: RefuseExpiry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciliation, "GRACE", timedelta(minutes=1))
    world = await open_world(hold_seconds=1)
    await refuse_expiry()
    booking = await world.hold(["1A"])
    await _until_overdue(booking)
    assert await _findings(world) == []
    patience = graces(second_look=0.1, workflow=60)
    [sighting] = await find_workflows(AuditQueries(Database(world.pool)), workflows_of(world), graces=patience)
    assert timedelta(seconds=50) < sighting.lacks(watched=timedelta(0)) < timedelta(seconds=60)
    await world.pool.execute(ALLOW_EXPIRY)
    await booking.result()


async def test_many_overdue_orders_are_named_up_to_a_limit(
    open_world: OpenWorld, refuse_expiry: RefuseExpiry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciliation, "OVERDUE_LIMIT", 2)
    world = await open_world(hold_seconds=1)
    await refuse_expiry()
    bookings = [await world.hold([f"{row}A"]) for row in range(1, 5)]
    lost = await world.hold(["9A"], guest_hash="may-expire")
    await lost.terminate()
    for booking in bookings:
        await _until_overdue(booking)

    report = await world.reconcile()

    troubles = [finding.trouble.value for finding in report.findings]
    assert sorted(troubles) == ["lostOrder", "overdueOrder", "overdueOrder"], "they keep no lost order waiting"
    assert not report.is_complete
    await world.pool.execute(ALLOW_EXPIRY)
    for booking in bookings:
        assert (await booking.result())["status"] == "EXPIRED"


# -- Recorded findings -------------------------------------------------------------------------------------------------


def test_an_error_is_named_by_its_class_and_that_of_its_cause() -> None:
    unavailable = DatabaseUnavailable()
    unavailable.__cause__ = ConnectionResetError(CODE)
    assert error_name(unavailable) == "DatabaseUnavailable from ConnectionResetError"
    assert error_name(ApplicationError(CODE, type="PaymentAttemptFailed")) == "PaymentAttemptFailed"
    assert error_name(ValueError(CODE)) == "ValueError"


def test_what_failed_longest_ago_is_forgotten_first_and_what_succeeds_at_once() -> None:
    steps = FailingSteps(limit=2)
    for number in range(3):
        steps.failed(f"booking-{number}", FailingStep("ExpireOrder", "ValueError", number))
    assert [steps.of(f"booking-{number}") is None for number in range(3)] == [True, False, False]
    steps.succeeded("booking-2")
    assert steps.of("booking-2") is None
    steps.succeeded("booking-2")
