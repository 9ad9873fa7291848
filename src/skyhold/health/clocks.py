"""The clock of this machine, held against PostgreSQL's, which is the one that counts.

No booking is the worse for a machine that is off: PostgreSQL gives every instant and Temporal rings every alarm. But
certificates, logs and the times of files go by it, so that it is off is told.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from skyhold.domain.errors import DatabaseUnavailable
from skyhold.health.verdict import Probe
from skyhold.queries.servers import ClockReading, ServerQueries

TOLERANCE = timedelta(seconds=2)
"""What two clocks may differ before anyone is told: more than ones that are synchronised ever do."""

LEDGER_PATIENCE = 0.5
"""Seconds that are waited for PostgreSQL's clock where the time of this machine is of use without it."""


def clock_probe(servers: ServerQueries) -> Probe:
    """Return the question by how much this machine is off."""

    async def ask_clock() -> str | None:
        return clock_trouble(await servers.clock())

    return ask_clock


def clock_trouble(reading: ClockReading) -> str | None:
    """Say by how much the clock of this machine is off, plus for ahead; nothing if it may well be right."""
    if reading.certain_offset <= TOLERANCE:
        return None
    return f"off by {reading.offset.total_seconds():+.1f} s from PostgreSQL's clock"


async def common_time(servers: ServerQueries) -> datetime:
    """Return the time that machines have in common, PostgreSQL's; while that is away, the one of this machine."""
    try:
        async with asyncio.timeout(LEDGER_PATIENCE):
            return (await servers.clock()).now
    except (DatabaseUnavailable, TimeoutError):
        return datetime.now(UTC)
