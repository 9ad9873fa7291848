"""Which Skyhold this is: the id of its ledger, read when it is first needed and kept, since it never changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from skyhold.web.shared_reads import SharedRead

_LONG_AGO = 3600.0


class Instance:
    """The id of the ledger; `known_id` is None until it has been read."""

    def __init__(self, read_id: Callable[[], Awaitable[str]]) -> None:
        self.known_id: str | None = None
        self._read_id = read_id
        self._reading = SharedRead(self._read)

    async def id(self) -> str:
        """Return the id; many who need it at once cost one read.

        Raises:
            DatabaseUnavailable: PostgreSQL does not tell it.
        """
        while self.known_id is None:
            # One that began before this was asked will do: the id is the same at any time.
            await self._reading.be_fresh(max_age=_LONG_AGO)
        return self.known_id

    async def _read(self) -> None:
        self.known_id = await self._read_id()
