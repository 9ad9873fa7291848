"""The audit: every invariant looked at once, and what looks broken looked at again until it counts or is gone.

Servers are read one after the other while bookings go on, so a single look can see an order in the middle of a step.
A finding counts only if it is there at every look until its grace is over, at the same step of its order. There is
one every few seconds, since most of what a look sees in flight is gone at the next.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta

from skyhold.audit.findings import AuditReport, Finding, Graces, Invariant, ServerAway, Sighting
from skyhold.audit.locks import SeatLockReader, find_locks
from skyhold.audit.money import find_money
from skyhold.audit.workflows import WorkflowReader, find_workflows
from skyhold.payments.gateway import PaymentGateway
from skyhold.queries.audit import AuditQueries, Suspicion

Wait = Callable[[int, timedelta], None]
"""Is told how many things look wrong, and after what pause they are looked at again."""


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
        """Without locks or workflows, since their server cannot be reached, what is about them is left unchecked."""
        self._queries = queries
        self._gateway = gateway
        self._locks = locks
        self._workflows = workflows
        self._why_no_workflows = why_no_workflows
        self._namespace_id = workflows.namespace_id if workflows else None
        self._graces = graces or Graces()
        self._on_wait = on_wait

    async def run(self) -> AuditReport:
        """Return the findings that lasted, none if every invariant holds, and what could not be checked.

        Raises:
            DatabaseUnavailable: PostgreSQL does not answer, without which nothing can be said.
        """
        unchecked: dict[Invariant, str] = {}
        findings: list[Finding] = []
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
        """Look at these invariants, and note which of them could not be looked at."""
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

    async def _find_in_ledger(self) -> list[Finding]:
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


async def _found(invariant: Invariant, *reads: Callable[[], Awaitable[Iterable[Suspicion]]]) -> list[Finding]:
    return [
        Finding(invariant, suspicion.order_id, suspicion.step, suspicion.subject, suspicion.detail)
        for read in reads
        for suspicion in await read()
    ]
