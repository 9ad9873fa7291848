"""The clock of a crowd: its customers' pauses, and its states open, closed and stopped.

Open: customers begin trips, and think between requests. Closed: no trip begins, and customers finish their orders
without thinking. Stopped: customers release their holds.
"""

from __future__ import annotations

import asyncio

DEFAULT_RETRY_SECONDS = 90.0
STOPPING_RETRY_SECONDS = 5.0
"""Time for which a failing request is retried: by default, long enough for a server to restart; and after a stop."""


class CrowdStopped(Exception):
    """The crowd was stopped: the customer must release its holds."""


class Pauses:
    """The clock that all customers of a crowd share.

    `pace` is the factor by which they think faster than usual, `retry_seconds` the time for which a failing request is
    retried.
    """

    def __init__(self, pace: float = 1.0, retry_seconds: float = DEFAULT_RETRY_SECONDS) -> None:
        self._pace = pace
        self._retry_seconds = retry_seconds
        self._closed = asyncio.Event()
        self._stopped = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """True until the crowd is closed or stopped."""
        return not self._closed.is_set()

    @property
    def is_stopped(self) -> bool:
        """True once the crowd was stopped."""
        return self._stopped.is_set()

    @property
    def retry_seconds(self) -> float:
        """Time for which a failing request is retried."""
        return min(self._retry_seconds, STOPPING_RETRY_SECONDS) if self.is_stopped else self._retry_seconds

    def close(self) -> None:
        """Close the crowd: no trip begins any more, and customers stop thinking."""
        self._closed.set()

    def stop(self) -> None:
        """Stop the crowd, which closes it too."""
        self._closed.set()
        self._stopped.set()

    async def think(self, seconds: float, *, at_most: float = float("inf")) -> None:
        """Pause for the seconds divided by the pace, but at most `at_most`, and only until the crowd is closed.

        Raises:
            CrowdStopped: the crowd was stopped.
        """
        await self.wait_until_closed(within=min(seconds / self._pace, at_most))
        self._raise_if_stopped()

    async def wait(self, seconds: float) -> None:
        """Wait for the time of a `Retry-After`, also when the crowd is closed.

        Raises:
            CrowdStopped: the crowd was stopped.
        """
        await self.wait_until_stopped(within=seconds)
        self._raise_if_stopped()

    async def wait_until_closed(self, *, within: float) -> None:
        """Wait until the crowd is closed, but at most `within` seconds."""
        await _wait_for(self._closed, within)

    async def wait_until_stopped(self, *, within: float) -> None:
        """Wait until the crowd is stopped, but at most `within` seconds."""
        await _wait_for(self._stopped, within)

    def _raise_if_stopped(self) -> None:
        if self.is_stopped:
            raise CrowdStopped


async def _wait_for(event: asyncio.Event, within: float) -> None:
    try:
        async with asyncio.timeout(max(0.0, within)):
            await event.wait()
    except TimeoutError:
        return
