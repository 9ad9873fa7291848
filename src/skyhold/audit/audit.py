"""The audit: every invariant checked once, and each violation rechecked until it counts or is gone.

Servers are read one after the other while bookings continue, so a single check can see an order in the middle of a
step. A violation counts only if every check until the end of its grace finds it, at the same step of its order. The
checks are a few seconds apart, since most violations seen in flight are gone at the next one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta

from skyhold.audit.findings import AuditReport, Graces, Invariant, ServerAway, Sighting, Violation
from skyhold.audit.locks import SeatLockReader, find_locks
from skyhold.audit.money import find_money
from skyhold.audit.workflows import WorkflowReader, find_workflows
from skyhold.payments.gateway import PaymentGateway
from skyhold.queries.audit import AuditQueries, Suspicion

Wait = Callable[[int, timedelta], None]
"""Called before each pause with the number of possible violations and the time until the recheck."""


class Audit:
    """Checks the invariants over the ledger, the gateway's statement, Redis and Temporal."""

    def __init__(
        self,
        queries: AuditQueries,
        gateway: PaymentGateway,
        *,
        locks: SeatLockReader | None = None,
        workflows: WorkflowReader | None = None,
        why_no_workflows: str = "Temporal cannot be reached",
        graces: Graces | None = None,
        on_wait: Wait | None = None,
    ) -> None:
        """Create an audit; without `locks` or `workflows`, as their server is unavailable, I5 or I6 stays unchecked."""
        self._queries = queries
        self._gateway = gateway
        self._locks = locks
        self._workflows = workflows
        self._why_no_workflows = why_no_workflows
        self._namespace_id = workflows.namespace_id if workflows else None
        self._graces = graces or Graces()
        self._on_wait = on_wait

    async def run(self) -> AuditReport:
        """Return the violations that count, none if every invariant holds, and the invariants that were not checked.

        Raises:
            DatabaseUnavailable: PostgreSQL does not answer; without it nothing can be checked.
        """
        unchecked: dict[Invariant, str] = {}
        findings: list[Violation] = []
        pending = {sighting.finding.identity: sighting for sighting in await self._look(set(Invariant), unchecked)}
        began = time.monotonic()
        pause = longest = self._graces.second_look
        while pending:
            await self._wait(len(pending), pause)
            watched = timedelta(seconds=time.monotonic() - began)
            sightings = await self._look({sighting.finding.invariant for sighting in pending.values()}, unchecked)
            again = {s.finding.identity: s for s in sightings if s.finding.identity in pending}
            findings += [s.finding for s in again.values() if not s.lacks(watched=watched)]
            pending = {identity: s for identity, s in again.items() if s.lacks(watched=watched)}
            pause = min((longest, *(s.lacks(watched=watched) for s in pending.values())))
        findings.sort(key=lambda finding: finding.invariant)
        return AuditReport(tuple(findings), unchecked, await self._count_foreign_orders())

    async def _look(self, invariants: set[Invariant], unchecked: dict[Invariant, str]) -> list[Sighting]:
        """Check these invariants once, and add those that could not be checked to `unchecked`."""
        sightings: list[Sighting] = []
        if invariants - {Invariant.I5, Invariant.I6}:
            sightings += [Sighting(finding) for finding in await self._find_in_ledger()]
        for invariant, find in ((Invariant.I5, self._find_locks), (Invariant.I6, self._find_workflows)):
            if invariant in invariants:
                try:
                    sightings += await find()
                except ServerAway as away:
                    unchecked[invariant] = str(away)
        return sightings

    async def _find_in_ledger(self) -> list[Violation]:
        queries = self._queries
        return [
            *await _found(Invariant.I1, queries.seats_without_rightful_owner, queries.orders_without_their_seats),
            *await _found(Invariant.I2, queries.seats_of_ended_orders),
            *await find_money(queries, self._gateway),
            *await _found(Invariant.I4, queries.wrong_totals),
            *await _found(Invariant.I7, queries.broken_logs),
        ]

    async def _find_locks(self) -> list[Sighting]:
        if self._locks is None:
            raise ServerAway("Redis cannot be reached")
        return await find_locks(self._queries, self._locks, namespace_id=self._namespace_id, graces=self._graces)

    async def _find_workflows(self) -> list[Sighting]:
        if self._workflows is None:
            raise ServerAway(self._why_no_workflows)
        return await find_workflows(self._queries, self._workflows, graces=self._graces)

    async def _count_foreign_orders(self) -> int | None:
        if self._namespace_id is None:
            return None
        return await self._queries.count_foreign_orders(namespace_id=self._namespace_id)

    async def _wait(self, number: int, pause: timedelta) -> None:
        if self._on_wait is not None:
            self._on_wait(number, pause)
        await asyncio.sleep(pause.total_seconds())


async def _found(invariant: Invariant, *reads: Callable[[], Awaitable[Iterable[Suspicion]]]) -> list[Violation]:
    return [
        Violation(invariant, suspicion.order_id, suspicion.step, suspicion.subject, suspicion.detail)
        for read in reads
        for suspicion in await read()
    ]
