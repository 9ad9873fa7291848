"""City names by the three-letter codes of flights, for people to read.

From the package `airportsdata`, for airports and for the cities that have several (NYC, CHI). It is read at the first
use, off the event loop, and only the names are kept. An unknown code is shown as it is.
"""

from __future__ import annotations

import asyncio


class Cities:
    """Names by code; empty until loaded."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._loading: asyncio.Task[dict[str, str]] | None = None

    async def load(self) -> None:
        """Read the names, unless they are loaded already."""
        if self._names:
            return
        self._loading = self._loading or asyncio.create_task(asyncio.to_thread(_read))
        try:
            self._names = await asyncio.shield(self._loading)
        finally:
            if self._loading and self._loading.done():
                self._loading = None

    def name_of(self, code: str) -> str:
        """Return the name of the city, or the code."""
        return self._names.get(code, code)


def _read() -> dict[str, str]:
    import airportsdata  # noqa: PLC0415 - takes a tenth of a second, which only the first page should wait for

    airports = {code: airport["city"] for code, airport in airportsdata.load("IATA").items() if airport["city"]}
    return airports | {code: city["name"] for code, city in airportsdata.load_iata_macs().items()}
