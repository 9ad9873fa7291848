"""Verdict over all probes: they run concurrently, each with a timeout, and the result contains no secret."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import structlog

from skyhold.resilience.single_flight import SingleFlight


@dataclass(frozen=True)
class ProbeFailure:
    """The failure of a probe.

    `reason` is public, `detail` is for the operator: it may name roles and hosts, never a secret. `remedy` is set if it
    depends on the failure. With `is_partial` the server still does a part of its work, with `is_misconfigured` waiting
    does not help.
    """

    reason: str
    detail: str = ""
    remedy: str | None = None
    is_partial: bool = False
    is_misconfigured: bool = False


Probe = Callable[[], Awaitable[ProbeFailure | str | None]]
"""Checks one server or part; returns its failure or None. A text is a reason without details."""

Readiness = Literal["ready", "degraded", "unavailable"]

PROBE_TIMEOUT = 1.5
"""Seconds after which a server that has not answered counts as unavailable."""

MAX_AGE_SECONDS = 1.0
"""The servers are probed at most this often, however many clients call: there is no rate limit on this route."""

OK = "ok"
_UNAVAILABLE, _DEGRADED = "unavailable: ", "degraded: "

INDISPENSABLE = frozenset({"postgresql", "schema"})
"""Without these nothing can be read or booked; without the others some of it can."""

CLOCK = "clock"
"""The check of the clock, which is never unavailable, only wrong; its text has no prefix."""

_log = structlog.get_logger(__name__)


class Checks:
    """The results of the probes, at most a second old."""

    def __init__(self, probes: Mapping[str, Probe]) -> None:
        self._probes = probes
        self._found: dict[str, str] = {}
        self._asking = SingleFlight(self._ask)

    async def ask(self) -> dict[str, str]:
        """Return the result of each probe: `ok`, or the reason of its failure."""
        await self._asking.refresh(max_age=MAX_AGE_SECONDS)
        return self._found

    async def _ask(self) -> None:
        failures = await ask_all(self._probes)
        self._found = {name: _public(name, failure) for name, failure in failures.items()}


async def ask_all(probes: Mapping[str, Probe]) -> dict[str, ProbeFailure | None]:
    """Return the failure of each probe, or None."""
    found = await asyncio.gather(*(_ask(name, probe) for name, probe in probes.items()))
    return dict(zip(probes, found, strict=True))


def check_of(name: str, failure: ProbeFailure | None) -> str:
    """Return `ok`, or `unavailable: ` or `degraded: ` and the reason; for the clock its offset."""
    if failure is None:
        return OK
    if name == CLOCK and failure.is_partial:
        return failure.reason
    return f"{_DEGRADED if failure.is_partial else _UNAVAILABLE}{failure.reason}"


def _public(name: str, failure: ProbeFailure | None) -> str:
    # A misconfiguration has details that must not be public.
    has_more = failure is not None and failure.is_misconfigured and bool(failure.detail)
    return check_of(name, failure) + ("; `skyhold doctor` says why" if has_more else "")


def readiness_of(checks: Mapping[str, str]) -> Readiness:
    """Return whether everything works, a part of it, or too little."""
    failed = {name: check for name, check in checks.items() if check != OK}
    if any(name in INDISPENSABLE and check.startswith(_UNAVAILABLE) for name, check in failed.items()):
        return "unavailable"
    return "degraded" if failed else "ready"


async def _ask(name: str, probe: Probe) -> ProbeFailure | None:
    try:
        found = await asyncio.wait_for(probe(), PROBE_TIMEOUT)
    except TimeoutError:
        return ProbeFailure("no answer in time")
    except Exception as error:  # noqa: BLE001 - any error of a probe is a failed check
        # The message of a driver's error may hold an address with a password: its class says enough.
        _log.debug("probe failed", check=name, error=type(error).__name__)
        return ProbeFailure("no answer", type(error).__name__)
    return ProbeFailure(found, is_partial=name == CLOCK) if isinstance(found, str) else found
