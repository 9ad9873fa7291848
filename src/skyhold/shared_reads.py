"""One read for all who want it at the same time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextvars import Context


class SharedRead:
    """A read of which one is under way at a time, and which serves everybody who can use what was true when it began.

    Since the next begins only after the one before, what it finds is never older.
    """

    def __init__(self, read: Callable[[], Awaitable[None]]) -> None:
        self._read = read
        self._task: asyncio.Task[None] | None = None
        self._true_at = -math.inf

    @property
    def has_succeeded(self) -> bool:
        """Whether the read has ever come to its end."""
        return self._true_at > -math.inf

    async def be_fresh(self, *, max_age: float = 0.0) -> None:
        """Return when a read has succeeded that began at most `max_age` seconds before this was asked.

        Raises whatever the read raises.
        """
        loop = asyncio.get_running_loop()
        wanted = loop.time() - max_age
        # Twice at most: one that is under way may have begun too early, the one after it has not.
        while self._true_at < wanted:
            if self._task is None:
                self._task = loop.create_task(self._run(), context=Context())  # not the first asker's alone
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
    """Take note of how the read ended, also when whoever asked for it has left."""
    if not task.cancelled():
        task.exception()
