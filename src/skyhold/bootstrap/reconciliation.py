"""The reconciler, composed from the settings: its schedule in Temporal, and an immediate run."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import structlog
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleState,
    ScheduleUpdate,
    ScheduleUpdateInput,
    WorkflowFailureError,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError

from skyhold.bootstrap.ledger import open_database, require_ledger
from skyhold.bootstrap.temporal import connect_to_namespace
from skyhold.domain.errors import WorkflowUnavailable
from skyhold.health.temporal import temporal_trouble
from skyhold.health.temporal_failures import TemporalFailure
from skyhold.messages import RECONCILIATION_WORKFLOW
from skyhold.reconciliation_messages import Reconciliation, Repair, RepairKind
from skyhold.setting_errors import BadSettingError
from skyhold.settings import Settings
from skyhold.stores.ledger import Ledger

EXECUTION_TIMEOUT = timedelta(minutes=10)
"""Longer than any run takes; a run that no worker takes must not block the next one permanently."""

CATCH_UP = timedelta(seconds=10)
"""Runs missed longer ago than this, while Temporal was unavailable, are skipped: one run is enough."""

RPC_TIMEOUT = timedelta(seconds=5)

SCHEDULE_CHECK = timedelta(minutes=5)
"""Interval at which a worker checks that the schedule exists: an operator may delete it without noticing."""

_log = structlog.get_logger(__name__)


class NoReconciliation(Exception):
    """The run of the reconciler did not succeed; the message is the reason."""


def schedule_id(task_queue: str) -> str:
    """Return the id of the schedule for the bookings of this task queue."""
    return f"reconciliation-{task_queue}"


@contextlib.asynccontextmanager
async def kept_schedule(
    client: Client, *, task_queue: str, interval: timedelta, every: timedelta = SCHEDULE_CHECK
) -> AsyncIterator[None]:
    """Create the schedule with this interval, and create it again whenever it is missing during the block."""

    async def keep() -> None:
        while True:
            await asyncio.sleep(every.total_seconds())
            await ensure_schedule(client, task_queue=task_queue, interval=interval, is_first=False)

    await ensure_schedule(client, task_queue=task_queue, interval=interval)
    keeping = asyncio.create_task(keep())
    try:
        yield
    finally:
        keeping.cancel()


async def ensure_schedule(client: Client, *, task_queue: str, interval: timedelta, is_first: bool = True) -> None:
    """Create the schedule, or give the existing one this interval; a paused one stays paused.

    If the server refuses, the worker continues: it logs a warning, and the reconciler runs only by hand. Only a
    worker's first call sets the interval (`is_first`), since workers may have different ones.
    """
    wanted = _schedule(task_queue, interval)
    try:
        try:
            await client.create_schedule(schedule_id(task_queue), wanted, rpc_timeout=RPC_TIMEOUT)
        except ScheduleAlreadyRunningError:
            if is_first:
                handle = client.get_schedule_handle(schedule_id(task_queue))
                await handle.update(lambda found: _updated(found, wanted), rpc_timeout=RPC_TIMEOUT)
    except RPCError as error:
        _log.warning("the reconciler's schedule could not be created or changed", error=error.status.name)


async def reconcile(settings: Settings, *, within: timedelta) -> Reconciliation:
    """Run the reconciler at once, over orders of any age, and return its result.

    If such a run is already in progress, wait for that one instead. Without PostgreSQL a run would only wait, so
    PostgreSQL is checked first.

    Raises:
        MissingSettingError: DATABASE_URL is not set.
        DatabaseUnavailable: PostgreSQL does not answer.
        WorkflowUnavailable: Temporal does not answer.
        NoReconciliation: no worker finished it in time, or it failed.
    """
    async with open_database(settings, application="skyhold reconcile") as pool:
        await require_ledger(pool)
    client, _, _ = await connect_to_namespace()
    task_queue = settings.temporal_task_queue
    try:
        handle = await client.start_workflow(
            RECONCILIATION_WORKFLOW,
            True,  # noqa: FBT003 - Temporal's payloads have no names
            id=f"{schedule_id(task_queue)}-at-once",
            task_queue=task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            execution_timeout=EXECUTION_TIMEOUT,
            static_summary="everything at once",
            rpc_timeout=RPC_TIMEOUT,
        )
        async with asyncio.timeout(within.total_seconds()):
            return reconciliation_of(await handle.result(rpc_timeout=within))
    except TimeoutError as error:
        raise NoReconciliation(f"it did not end within {within.total_seconds():.0f} s. Is a worker running?") from error
    except WorkflowFailureError as error:
        raise NoReconciliation(f"it failed: {error.cause or error}") from error
    except RPCError as error:
        where = client.service_client.config.target_host
        raise WorkflowUnavailable from TemporalFailure(where, temporal_trouble(error, client))


async def adopt(settings: Settings, *, lost: str) -> int:
    """Assign the open orders of a permanently lost Temporal namespace to ours, and return their number.

    Raises:
        MissingSettingError: DATABASE_URL is not set.
        WorkflowUnavailable: Temporal does not answer.
        BadSettingError: `lost` is our own namespace, or another that this Temporal still has.
        DatabaseUnavailable: PostgreSQL does not answer.
    """
    client, ours, _ = await connect_to_namespace()
    if lost == ours:
        raise BadSettingError("--adopt: this is the namespace that is in use")
    if name := await _name_of(client, lost):
        raise BadSettingError(f"--adopt: this namespace is not lost, Temporal has it as {name!r}")
    async with open_database(settings, application="skyhold reconcile") as pool:
        await require_ledger(pool)
        return await Ledger(pool).adopt(ours, lost=lost)


async def _name_of(client: Client, namespace_id: str) -> str | None:
    """Return the name under which this Temporal has the namespace, or None if it does not have it or refuses."""
    try:
        described = await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(id=namespace_id), timeout=RPC_TIMEOUT
        )
    except RPCError:
        return None
    return described.namespace_info.name


def reconciliation_of(result: Any) -> Reconciliation:
    """Return the result of a run of the reconciler, parsed from its workflow's result."""
    findings = tuple(Repair(**found | {"trouble": RepairKind(found["trouble"])}) for found in result["findings"])
    return Reconciliation(findings, result["foreign_orders"], result["is_complete"])


def _schedule(task_queue: str, interval: timedelta) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            RECONCILIATION_WORKFLOW,
            id=schedule_id(task_queue),
            task_queue=task_queue,
            execution_timeout=EXECUTION_TIMEOUT,
            static_summary="what killed processes left behind",
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=interval)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=CATCH_UP),
        state=ScheduleState(note="Finds and mends what killed processes left behind."),
    )


def _updated(found: ScheduleUpdateInput, wanted: Schedule) -> ScheduleUpdate | None:
    there = found.description.schedule
    if there.spec.intervals == wanted.spec.intervals:
        return None
    wanted.state = there.state
    return ScheduleUpdate(wanted)
