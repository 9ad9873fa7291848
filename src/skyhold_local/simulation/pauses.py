"""The time of a crowd: how long its customers think, when nobody begins anything new, and when all go home.

First it is open. When it is closed, nobody thinks any longer and everybody finishes what they are at. When all have to
leave, nobody goes on with anything: what is held is let go.
"""

from __future__ import annotations

import asyncio

DEFAULT_RETRY_SECONDS = 90.0
STOPPING_RETRY_SECONDS = 5.0
"""How long the same thing is asked again for, unless a plan says otherwise: servers that die are back by then. Who was
told to go home has less."""


class CrowdStopped(Exception):
    """The crowd was told to go home; whoever hears it lets go of what they hold."""


class Pauses:
    """What everyone in the crowd waits by.

    `pace` is how many times faster than usual they think, `retry_seconds` how long an unanswered request is retried.
    """

    def __init__(self, pace: float = 1.0, retry_seconds: float = DEFAULT_RETRY_SECONDS) -> None:
        self._pace = pace
        self._patience = retry_seconds
        self._closed = asyncio.Event()
        self._left = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """Whether something new may be begun."""
        return not self._closed.is_set()

    @property
    def is_leaving(self) -> bool:
        """Whether all were told to go home."""
        return self._left.is_set()

    @property
    def retry_seconds(self) -> float:
        """For how long the same thing is asked again."""
        return min(self._patience, STOPPING_RETRY_SECONDS) if self.is_leaving else self._patience

    def close(self) -> None:
        """Let nobody begin anything new, and nobody think any longer."""
        self._closed.set()

    def leave(self) -> None:
        """Send all home."""
        self._closed.set()
        self._left.set()

    async def think(self, seconds: float, *, at_most: float = float("inf")) -> None:
        """Pause as long as a customer of this pace thinks, and no longer than `at_most`, which is no matter of pace.

        Raises:
            CrowdStopped: all were told to go home.
        """
        await self.closed(within=min(seconds / self._pace, at_most))
        self._stay()

    async def wait(self, seconds: float) -> None:
        """Wait as long as the API asked for, closed or not.

        Raises:
            CrowdStopped: all were told to go home.
        """
        await self.left(within=seconds)
        self._stay()

    async def closed(self, *, within: float) -> None:
        """Wait until the crowd is closed, or for so many seconds."""
        await _happens(self._closed, within)

    async def left(self, *, within: float) -> None:
        """Wait until all were told to go home, or for so many seconds."""
        await _happens(self._left, within)

    def _stay(self) -> None:
        if self.is_leaving:
            raise CrowdStopped


async def _happens(event: asyncio.Event, within: float) -> None:
    try:
        async with asyncio.timeout(max(0.0, within)):
            await event.wait()
    except TimeoutError:
        return
