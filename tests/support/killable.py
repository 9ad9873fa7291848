"""Bookings with worker processes of their own, so that tests can kill and stop them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

from skyhold.audit.audit import Audit
from skyhold.audit.findings import Graces
from skyhold.queries.audit import AuditQueries
from skyhold.queries.database import Database
from support.bookings import Bookings
from support.processes import WorkerProcess


class KillableWorld(Bookings):
    """Bookings with worker processes."""

    workers: list[WorkerProcess]


OpenKillable = Callable[..., AbstractAsyncContextManager[KillableWorld]]


async def require_sound(world: Bookings) -> None:
    """Assert that the audit finds nothing in the ledger."""
    graces = Graces(second_look=timedelta(seconds=0.5))
    report = await Audit(AuditQueries(Database(world.pool)), world.gateway, graces=graces).run()
    assert report.findings == ()
