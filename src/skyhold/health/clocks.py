"""The clock of this machine, compared with PostgreSQL's, which is the one that counts.

A machine whose clock is off harms no booking: PostgreSQL gives every instant and Temporal fires every timer. But
certificates, logs and the times of files depend on it, so an offset is reported.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from skyhold.domain.errors import DatabaseUnavailable
from skyhold.health.verdict import Probe
from skyhold.queries.servers import ClockReading, ServerQueries

TOLERANCE = timedelta(seconds=2)
"""Offset from which on it is reported: more than synchronised clocks ever differ."""

LEDGER_PATIENCE = 0.5
"""Seconds to wait for PostgreSQL's clock where this machine's own time can replace it."""


def clock_probe(servers: ServerQueries) -> Probe:
    """Return the probe of this machine's clock."""

    async def ask_clock() -> str | None:
        return clock_trouble(await servers.clock())

    return ask_clock


def clock_trouble(reading: ClockReading) -> str | None:
    """Return the offset of this machine's clock as a text, plus for ahead; None if it may be right."""
    if reading.certain_offset <= TOLERANCE:
        return None
    return f"off by {reading.offset.total_seconds():+.1f} s from PostgreSQL's clock"


async def common_time(servers: ServerQueries) -> datetime:
    """Return PostgreSQL's time, which all machines share; while PostgreSQL is unavailable, this machine's."""
    try:
        async with asyncio.timeout(LEDGER_PATIENCE):
            return (await servers.clock()).now
    except (DatabaseUnavailable, TimeoutError):
        return datetime.now(UTC)
