"""Audits of bookings under test, over real servers, with the graces that the test sets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from skyhold.audit.audit import Audit, Wait
from skyhold.audit.findings import AuditReport, Graces
from skyhold.audit.locks import SeatLockReader
from skyhold.audit.workflows import WorkflowReader
from skyhold.postgresql.pools import Pool
from skyhold.queries.audit import AuditQueries
from skyhold.queries.database import Database
from support.bookings import NAMESPACE_ID, Bookings


def graces(*, second_look: float = 0.0, lock: float = 0.0, workflow: float = 0.0, repair: float = 0.0) -> Graces:
    """Return graces in seconds; without any, every finding of both looks counts."""
    return Graces(*(timedelta(seconds=seconds) for seconds in (second_look, lock, workflow, repair)))


def audit_of(world: Bookings, patience: Graces | None = None, *, on_wait: Wait | None = None) -> Audit:
    """Return an audit of the world's ledger, locks and workflows."""
    return Audit(
        AuditQueries(Database(world.pool)),
        world.gateway,
        locks=SeatLockReader(world.redis),
        workflows=workflows_of(world),
        graces=patience or graces(),
        on_wait=on_wait,
    )


def workflows_of(world: Bookings, *, rpc_timeout: float = 5.0) -> WorkflowReader:
    """Return a reader of the world's workflows."""
    return WorkflowReader(
        world.client,
        namespace_id=NAMESPACE_ID,
        task_queue=world.task_queue,
        rpc_timeout=timedelta(seconds=rpc_timeout),
    )


def told(report: AuditReport) -> list[tuple[str, str | None]]:
    """Return the invariant and the order of each finding."""
    assert not report.unchecked, report.unchecked
    assert all(finding.detail for finding in report.findings)
    return [(finding.invariant.value, finding.order_id) for finding in report.findings]


async def plant(pool: Pool, statement: str, *values: object) -> None:
    """Break the ledger by a statement without triggers and foreign keys."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        status = await connection.execute(statement, *values)
    assert not status.endswith(" 0"), "nothing was planted"


def sentences(report: AuditReport) -> Sequence[str]:
    """Return the details of the findings."""
    return [finding.detail for finding in report.findings]
