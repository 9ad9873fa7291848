"""The deadline of a command over HTTP, divided among its precheck, its way through the booking, and the follow-up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Depends

from skyhold.domain.errors import DatabaseUnavailable
from skyhold.web.api.services import UsedServices
from skyhold.web.clocks import LedgerClock

PRECHECK_SHARE = 0.8
"""Share of the booking's time limit that may pass before a command is sent; a later one is not sent at all."""

PRECHECK_SECONDS = 0.2
"""Time of the precheck that is added to the booking's time limit; a longer precheck shortens the booking's time."""

FOLLOW_UP_SECONDS = 0.1
"""Time after the deadline for reads that complete an answer: how an order ended, alternative seats."""


class CommandDeadline:
    """The deadline of a command, counted from its arrival: it is answered in time, whatever is unavailable or slow.

    `limit` is the time that the booking may take.
    """

    def __init__(self, limit: timedelta) -> None:
        self._limit = limit.total_seconds()
        self._began_at = asyncio.get_running_loop().time()
        self._ends_at = self._began_at + self._limit + PRECHECK_SECONDS

    def instant(self, clock: LedgerClock) -> datetime:
        """Return the deadline of a command that is sent now, by that clock: the instant when its client gets 503."""
        left = self._ends_at - asyncio.get_running_loop().time()
        return clock.now() + timedelta(seconds=min(left, self._limit))

    @contextlib.asynccontextmanager
    async def precheck(self) -> AsyncIterator[None]:
        """Limit the time of the reads from PostgreSQL before the command is sent.

        Raises:
            DatabaseUnavailable: they take so long that nothing is sent.
        """
        try:
            async with asyncio.timeout_at(self._began_at + self._limit * PRECHECK_SHARE):
                yield
        except TimeoutError as late:
            raise DatabaseUnavailable from late

    def send(self) -> asyncio.Timeout:
        """Limit the time of the command itself: it is abandoned at the deadline."""
        return asyncio.timeout_at(self._ends_at)

    async def run_out(self) -> None:
        """Wait until the deadline of the command."""
        await asyncio.sleep(max(0.0, self._ends_at - asyncio.get_running_loop().time()))

    def follow_up(self) -> asyncio.Timeout:
        """Limit the time of the reads that complete an answer."""
        return asyncio.timeout_at(self._ends_at + FOLLOW_UP_SECONDS)


async def command_deadline(services: UsedServices) -> CommandDeadline:
    """Return the deadline of a command that has just arrived."""
    return CommandDeadline(services.command_timeout)


UsedDeadline = Annotated[CommandDeadline, Depends(command_deadline)]
