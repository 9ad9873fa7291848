"""I6: the audit finds orders without a workflow and workflows without an order, except changes in flight."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import WorkflowExecutionStatus as ProtoStatus
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.service import RPCError, WorkflowService

from skyhold.audit.audit import Audit
from skyhold.audit.findings import Invariant
from skyhold.audit.locks import SeatLockReader
from skyhold.audit.workflows import WorkflowReader
from skyhold.domain.seats import SeatKey
from skyhold.messages import BOOKING_WORKFLOW, workflow_id_of
from skyhold.queries.audit import AuditQueries
from skyhold.queries.database import Database
from skyhold.readers.seat_locks import lock_name
from skyhold_local.embedded.servers import Servers
from support.audits import audit_of, graces, plant, sentences, told, workflows_of
from support.bookings import FL101, NAMESPACE_ID, Booking, Bookings, until


@dataclass(frozen=True)
class Scene:
    """Two orders: one that holds 2A and has a workflow, one that was cancelled."""

    world: Bookings
    held: Booking
    cancelled: Booking

    async def run_without_working(self, workflow_id: str) -> WorkflowHandle[object, object]:
        """Start a workflow whose first task is delayed; return when visibility lists it."""
        handle = await self.world.client.start_workflow(
            BOOKING_WORKFLOW, id=workflow_id, task_queue=self.world.task_queue, start_delay=timedelta(hours=1)
        )

        async def is_listed() -> bool:
            return any([workflow_id in page async for page in workflows_of(self.world).running()])

        await until(is_listed, what="the workflow to be listed")
        return handle


@pytest.fixture
async def scene(world: Bookings) -> Scene:
    held, cancelled = await asyncio.gather(world.hold(["2A"]), world.hold(["4A"]))
    await world.bookings.cancel(cancelled.order_id)
    await cancelled.result()
    return Scene(world, held, cancelled)


async def test_workflows_without_an_open_order_are_found_and_nothing_else(scene: Scene) -> None:
    lost = f"lost-{uuid.uuid4()}"
    for workflow_id, order_id, sentence in (
        (workflow_id_of(lost), lost, "its workflow is running, the order is missing"),
        (f"by-hand-{lost}", f"by-hand-{lost}", "its workflow is running, the order is missing"),
        (scene.cancelled.handle.id, scene.cancelled.order_id, "its workflow is running, the order is FAILED"),
    ):
        assert told(await audit_of(scene.world).run()) == []

        handle = await scene.run_without_working(workflow_id)
        report = await audit_of(scene.world).run()

        assert told(report) == [("I6", order_id)]
        assert sentences(report) == [sentence]
        await handle.terminate()


async def test_an_order_whose_workflow_was_terminated_is_found_until_a_reset(scene: Scene) -> None:
    await scene.held.handle.terminate()

    report = await audit_of(scene.world).run()

    assert told(report) == [("I6", scene.held.order_id)]
    assert sentences(report) == ["the order is SEATS_RESERVED, its workflow is TERMINATED"]
    again = await scene.held.reset(to_first=True, forget_messages=True)
    assert told(await audit_of(scene.world).run()) == []
    assert (await again.handle.describe()).status is WorkflowExecutionStatus.RUNNING


async def test_an_order_whose_workflow_temporal_forgot_is_found(scene: Scene) -> None:
    await _forget(scene.world.client, scene.held.handle.id)

    report = await audit_of(scene.world).run()

    assert told(report) == [("I6", scene.held.order_id)]
    assert sentences(report) == ["the order is SEATS_RESERVED, Temporal does not know its workflow"]


async def test_a_workflow_of_another_chain_is_not_the_orders(scene: Scene) -> None:
    await plant(scene.world.pool, "UPDATE orders SET chain = 'another' WHERE id = $1", scene.held.order_id)

    report = await audit_of(scene.world).run()

    assert told(report) == [("I6", scene.held.order_id)]
    assert sentences(report) == ["the order is SEATS_RESERVED, its workflow is of another chain"]


async def test_what_visibility_lists_too_late_is_not_told(scene: Scene) -> None:
    class LateReader(WorkflowReader):
        async def running(self) -> AsyncIterator[list[str]]:
            yield [scene.cancelled.handle.id, workflow_id_of(f"forgotten-{uuid.uuid4()}")]

    audit = Audit(
        AuditQueries(Database(scene.world.pool)),
        scene.world.gateway,
        locks=SeatLockReader(scene.world.redis),
        workflows=LateReader(scene.world.client, namespace_id=NAMESPACE_ID, task_queue=scene.world.task_queue),
        graces=graces(),
    )

    assert told(await audit.run()) == []


async def test_orders_of_another_namespace_are_counted_and_not_judged(scene: Scene) -> None:
    await scene.held.handle.terminate()
    await scene.world.pool.execute("UPDATE orders SET namespace_id = 'another' WHERE id = $1", scene.held.order_id)

    report = await audit_of(scene.world).run()

    assert told(report) == []
    assert report.foreign_orders == 1


async def test_a_workflow_that_gets_its_order_within_its_grace_does_not_count(scene: Scene) -> None:
    pauses: list[float] = []
    handle = await scene.run_without_working(workflow_id_of(f"late-{uuid.uuid4()}"))
    audit = audit_of(
        scene.world,
        graces(second_look=0.2, workflow=30),
        on_wait=lambda _, pause: pauses.append(pause.total_seconds()),
    )

    async def is_waiting() -> bool:
        return bool(pauses)

    looking = asyncio.create_task(audit.run())
    await until(is_waiting, what="the pause before the second look")
    await handle.terminate()

    assert told(await looking) == []


@pytest.mark.rest
async def test_an_order_without_a_workflow_counts_when_its_grace_is_over(scene: Scene) -> None:
    began_at = asyncio.get_running_loop().time()
    await scene.held.handle.terminate()
    pauses: list[float] = []
    audit = audit_of(
        scene.world,
        graces(second_look=0.1, workflow=1.5),
        on_wait=lambda _, pause: pauses.append(pause.total_seconds()),
    )

    assert told(await audit.run()) == [("I6", scene.held.order_id)]
    assert asyncio.get_running_loop().time() - began_at >= 1.4
    # A workflow that closed before the audit began has a shorter grace left.
    await asyncio.sleep(0.1)
    pauses.clear()
    assert told(await audit.run()) == [("I6", scene.held.order_id)]
    assert pauses == [0.1]


async def test_without_temporal_the_rest_is_told_and_workflows_are_not_said_to_run(
    scene: Scene, servers: Servers
) -> None:
    await scene.world.redis.persist(lock_name(SeatKey(FL101, "2A")))
    reports = {}
    servers.temporal.kill()
    try:
        for workflows in (workflows_of(scene.world, rpc_timeout=0.3), None):
            audit = Audit(
                AuditQueries(Database(scene.world.pool)),
                scene.world.gateway,
                locks=SeatLockReader(scene.world.redis),
                workflows=workflows,
                graces=graces(),
            )
            reports[workflows is None] = await audit.run()
    finally:
        servers.temporal.start()

    for report in reports.values():
        assert [finding.invariant for finding in report.findings] == ["I5"]
        assert list(report.unchecked) == ["I6"]
        assert not report.holds(Invariant.I6)
        assert report.holds(Invariant.I7)
    assert reports[False].unchecked[Invariant.I6].startswith("Temporal does not answer")
    assert reports[True].unchecked[Invariant.I6] == "Temporal cannot be reached"
    assert reports[True].foreign_orders is None


async def _forget(client: Client, workflow_id: str) -> None:
    await client.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(
            namespace=client.namespace, workflow_execution=WorkflowExecution(workflow_id=workflow_id)
        )
    )

    async def is_forgotten() -> bool:
        try:
            await client.get_workflow_handle(workflow_id).describe()
        except RPCError:
            return True
        return False

    await until(is_forgotten, what="Temporal to forget the workflow")


async def test_an_order_whose_workflow_is_paused_is_looked_after(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    describe = WorkflowService.describe_workflow_execution

    async def describe_as_paused(self: WorkflowService, ask: Any, **options: Any) -> Any:
        reply = await describe(self, ask, **options)
        reply.workflow_execution_info.status = ProtoStatus.WORKFLOW_EXECUTION_STATUS_PAUSED
        return reply

    monkeypatch.setattr(WorkflowService, "describe_workflow_execution", describe_as_paused)

    assert told(await audit_of(scene.world).run()) == []
