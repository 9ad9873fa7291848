"""Claims of seats that this process has sent and that are not decided yet: who wants one of the seats waits for them.

Of fifty customers who see one seat free in the same moment, one is sent to the booking; the others look again when that
is decided, and are refused by what they see, without a workflow. A courtesy to the booking and to those who lose: what
other processes send meanwhile, and who has waited long enough, is decided by the ledger all the same.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator

PATIENCE_SECONDS = 1.0
"""How long a claim waits for others; most are decided in a twentieth of it."""


class ClaimsUnderWay:
    """The seats that are being claimed through this process."""

    def __init__(self) -> None:
        self._decided: dict[tuple[str, str], asyncio.Event] = {}

    @contextlib.asynccontextmanager
    async def turn(
        self, flight_id: str, seats: Collection[str], look_again: Callable[[], Awaitable[None]]
    ) -> AsyncIterator[None]:
        """Claim the seats in the block, which begins when no other claim of them is under way, or after a while.

        `look_again` is awaited after each wait, and refuses seats that are gone by raising.
        """
        keys = [(flight_id, seat) for seat in seats]
        deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        # Between the last look at what is under way and the claim nothing is awaited: one of those who wait goes on.
        while (decided := self._one_of(keys)) and await _happens(decided, deadline):
            await look_again()
        with self._claim(keys):
            yield

    def _one_of(self, keys: Collection[tuple[str, str]]) -> asyncio.Event | None:
        return next((decided for key in keys if (decided := self._decided.get(key))), None)

    @contextlib.contextmanager
    def _claim(self, keys: Collection[tuple[str, str]]) -> Iterator[None]:
        # Whoever ran out of patience leaves the seats to those who claimed them first.
        own, decided = [key for key in keys if key not in self._decided], asyncio.Event()
        self._decided |= dict.fromkeys(own, decided)
        try:
            yield
        finally:
            for key in own:
                del self._decided[key]
            decided.set()


async def _happens(event: asyncio.Event, deadline: float) -> bool:
    try:
        async with asyncio.timeout_at(deadline):
            await event.wait()
    except TimeoutError:
        return False
    return True
