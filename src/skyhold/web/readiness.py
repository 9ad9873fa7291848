"""Whether what Skyhold needs answers: all probes at once, none waited for long, nothing secret in what is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

import structlog

from skyhold.web.shared_reads import SharedRead

Probe = Callable[[], Awaitable[str | None]]
"""A question about what Skyhold needs; the answer says what is wrong, without secrets, or nothing."""

Readiness = Literal["ready", "degraded", "unavailable"]

PROBE_TIMEOUT = 1.5
"""Seconds after which a server that has not answered counts as away."""

OK = "ok"

INDISPENSABLE = frozenset({"postgresql", "schema"})
"""Without these nothing can be read or booked; without the others some of it can."""

CLOCK = "clock"
"""The check of what is never away, only wrong: it says so in its own words."""

_log = structlog.get_logger(__name__)


class Checks:
    """What the probes say, asked for one time after the other, however many want to know: no limit guards this."""

    def __init__(self, probes: Mapping[str, Probe]) -> None:
        self._probes = probes
        self._said: dict[str, str] = {}
        self._asking = SharedRead(self._ask)

    async def ask(self) -> dict[str, str]:
        """Return what the probes say now."""
        await self._asking.be_fresh()
        return self._said

    async def _ask(self) -> None:
        self._said = await ask_all(self._probes)


async def ask_all(probes: Mapping[str, Probe]) -> dict[str, str]:
    """Return `ok` for each probe, or `unavailable: ` and what is wrong; of the clock, by how much it is off."""
    said = await asyncio.gather(*(_ask(name, probe) for name, probe in probes.items()))
    return dict(zip(probes, said, strict=True))


def readiness_of(checks: Mapping[str, str]) -> Readiness:
    """Say whether everything works, enough to go on, or not enough."""
    failed = {name for name, check in checks.items() if check != OK}
    if failed & INDISPENSABLE:
        return "unavailable"
    return "degraded" if failed else "ready"


async def _ask(name: str, probe: Probe) -> str:
    try:
        wrong = await asyncio.wait_for(probe(), PROBE_TIMEOUT)
    except TimeoutError:
        wrong = "no answer in time"
    except Exception as error:  # noqa: BLE001 - a probe that breaks has found something wrong, whatever it is
        # The message of a driver's error may hold an address with a password: its class says enough.
        wrong = "no answer"
        _log.debug("probe failed", check=name, error=type(error).__name__)
    else:
        if wrong and name == CLOCK:
            return wrong
    return f"unavailable: {wrong}" if wrong else OK
