"""In-flight claims of seats in this process: a claim of the same seats waits until they are decided.

Of fifty customers who see one available seat at the same moment, only one is sent to the booking. After its decision
the others read the seats again and are refused by that precheck, without a workflow. This only saves load and time: the
ledger decides the claims of other processes, and those whose wait timed out.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator

from skyhold.domain.seats import SeatKey

CLAIM_TIMEOUT_SECONDS = 1.0
"""Longest wait of a claim for others; most are decided in a twentieth of it."""


class InFlightClaims:
    """The seats that are being claimed through this process."""

    def __init__(self) -> None:
        self._decided: dict[SeatKey, asyncio.Event] = {}

    @contextlib.asynccontextmanager
    async def wait_turn(
        self, seats: Collection[SeatKey], recheck: Callable[[], Awaitable[None]]
    ) -> AsyncIterator[None]:
        """Claim the seats for the block, which starts when no other claim of them is in flight, or after the timeout.

        `recheck` is awaited after each wait; it raises if the seats are no longer available.
        """
        deadline = asyncio.get_running_loop().time() + CLAIM_TIMEOUT_SECONDS
        # Nothing is awaited between the last check of the in-flight claims and the claim: only one waiter continues.
        while (decided := self._one_of(seats)) and await _happens(decided, deadline):
            await recheck()
        with self._claim(seats):
            yield

    def _one_of(self, seats: Collection[SeatKey]) -> asyncio.Event | None:
        return next((decided for seat in seats if (decided := self._decided.get(seat))), None)

    @contextlib.contextmanager
    def _claim(self, seats: Collection[SeatKey]) -> Iterator[None]:
        # After a timeout the seats stay registered for the claim that came first.
        own, decided = [seat for seat in seats if seat not in self._decided], asyncio.Event()
        self._decided |= dict.fromkeys(own, decided)
        try:
            yield
        finally:
            for seat in own:
                del self._decided[seat]
            decided.set()


async def _happens(event: asyncio.Event, deadline: float) -> bool:
    try:
        async with asyncio.timeout_at(deadline):
            await event.wait()
    except TimeoutError:
        return False
    return True
