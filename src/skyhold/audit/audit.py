"""The audit: every invariant looked at once, and what looks broken looked at again a while later.

Stores are read one after the other while bookings go on, so a single look can see an order in the middle of a step.
A finding counts only if it is there again, at the same step of its order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta

from skyhold.audit.findings import Finding, Invariant
from skyhold.audit.money import find_money
from skyhold.payments.gateway import PaymentGateway
from skyhold.queries.audit import AuditQueries, Suspicion

SECOND_LOOK_AFTER = timedelta(seconds=5)


class Audit:
    """Checks the invariants over the ledger and the gateway's statement."""

    def __init__(
        self, queries: AuditQueries, gateway: PaymentGateway, *, second_look_after: timedelta = SECOND_LOOK_AFTER
    ) -> None:
        self._queries = queries
        self._gateway = gateway
        self._second_look_after = second_look_after

    async def run(self) -> list[Finding]:
        """Return the findings that lasted, none if every invariant holds.

        Raises:
            DatabaseUnavailable: PostgreSQL does not answer.
        """
        first = await self._look()
        if not first:
            return []
        await asyncio.sleep(self._second_look_after.total_seconds())
        seen = {finding.identity for finding in first}
        return [finding for finding in await self._look() if finding.identity in seen]

    async def _look(self) -> list[Finding]:
        queries = self._queries
        return [
            *await _found(Invariant.I1, queries.seats_without_rightful_owner, queries.orders_without_their_seats),
            *await _found(Invariant.I2, queries.seats_of_ended_orders),
            *await find_money(queries, self._gateway),
            *await _found(Invariant.I4, queries.wrong_totals),
            *await _found(Invariant.I7, queries.broken_logs),
        ]


async def _found(invariant: Invariant, *reads: Callable[[], Awaitable[Iterable[Suspicion]]]) -> list[Finding]:
    return [
        Finding(invariant, suspicion.order_id, suspicion.step, suspicion.subject, suspicion.detail)
        for read in reads
        for suspicion in await read()
    ]
