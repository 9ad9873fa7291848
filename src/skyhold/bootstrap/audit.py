"""The audit, composed from the settings over all servers; all but PostgreSQL may be unavailable."""

from __future__ import annotations

from typing import Any

from skyhold.audit.audit import Audit, Wait
from skyhold.audit.findings import AuditReport, Graces
from skyhold.audit.locks import SeatLockReader
from skyhold.audit.workflows import WorkflowReader
from skyhold.bootstrap.gateway import open_gateway
from skyhold.bootstrap.ledger import open_database, require_ledger
from skyhold.bootstrap.redis import open_redis_of
from skyhold.bootstrap.temporal import connect_to_namespace
from skyhold.domain.errors import WorkflowUnavailable
from skyhold.queries.audit import AuditQueries
from skyhold.queries.database import Database
from skyhold.settings import Settings


async def audit(settings: Settings, *, on_wait: Wait | None = None) -> AuditReport:
    """Return the violations that count, and the invariants not checked because their server is unavailable.

    Raises:
        MissingSettingError: DATABASE_URL or REDIS_URL is not set.
        BadSettingError: one of them, or an address or namespace of Temporal, is invalid.
        PostgresUnavailable: PostgreSQL does not answer, or the schema has no ledger.
    """
    async with (
        open_database(settings, application="skyhold audit") as pool,
        open_redis_of(settings) as redis,
        open_gateway(settings, pool) as gateway,
    ):
        await require_ledger(pool)
        audit = Audit(
            AuditQueries(Database(pool)),
            gateway,
            locks=SeatLockReader(redis),
            **await _open_workflows(settings),
            graces=Graces(repair=settings.reconcile_interval),
            on_wait=on_wait,
        )
        return await audit.run()


async def _open_workflows(settings: Settings) -> dict[str, Any]:
    """Return a reader of workflows, or the reason why there is none, as keyword arguments for the audit."""
    try:
        client, namespace_id, _ = await connect_to_namespace()
    except WorkflowUnavailable as error:
        return {"why_no_workflows": str(error.__cause__).rstrip(".")}
    reader = WorkflowReader(client, namespace_id=namespace_id, task_queue=settings.temporal_task_queue)
    return {"workflows": reader}
