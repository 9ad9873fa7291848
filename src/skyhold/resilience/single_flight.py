"""Single-flight: concurrent callers share one read."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextvars import Context


class SingleFlight:
    """A read that runs at most once at a time and serves every caller for which its starting time is recent enough.

    Reads do not overlap, so a later read never returns an older state.
    """

    def __init__(self, read: Callable[[], Awaitable[None]]) -> None:
        self._read = read
        self._task: asyncio.Task[None] | None = None
        self._true_at = -math.inf

    @property
    def has_succeeded(self) -> bool:
        """True once the read has succeeded."""
        return self._true_at > -math.inf

    async def refresh(self, *, max_age: float = 0.0) -> None:
        """Return when a read has succeeded that began at most `max_age` seconds before this call.

        Raises the errors of the read.
        """
        loop = asyncio.get_running_loop()
        wanted = loop.time() - max_age
        # At most two rounds: the read under way may have begun too early, the next one has not.
        while self._true_at < wanted:
            if self._task is None:
                self._task = loop.create_task(self._run(), context=Context())  # not the first caller's
                self._task.add_done_callback(_look_at)
            await asyncio.shield(self._task)

    async def _run(self) -> None:
        began_at = asyncio.get_running_loop().time()
        try:
            await self._read()
            self._true_at = began_at
        finally:
            self._task = None


def _look_at(task: asyncio.Task[None]) -> None:
    """Retrieve the read's exception, so that asyncio does not log it when its callers have been cancelled."""
    if not task.cancelled():
        task.exception()
