"""The instance's id, which is stored with its ledger: read when it is first needed, then cached; it never changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from skyhold.resilience.single_flight import SingleFlight

_LONG_AGO = 3600.0


class Instance:
    """One Skyhold, identified by its ledger; `known_id` is None until the id has been read."""

    def __init__(self, read_id: Callable[[], Awaitable[str]]) -> None:
        self.known_id: str | None = None
        self._read_id = read_id
        self._reading = SingleFlight(self._read)

    async def id(self) -> str:
        """Return the id; concurrent callers share one read.

        Raises:
            DatabaseUnavailable: it cannot be read.
        """
        while self.known_id is None:
            # A read in progress is as good as a new one: the id never changes.
            await self._reading.refresh(max_age=_LONG_AGO)
        return self.known_id

    async def _read(self) -> None:
        self.known_id = await self._read_id()
