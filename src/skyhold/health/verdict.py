"""Whether what Skyhold needs can do its work: all probes at once, none waited for long, no secret in the result."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import structlog

from skyhold.shared_reads import SharedRead


@dataclass(frozen=True)
class ProbeFailure:
    """What a probe found wrong.

    `reason` is for anyone, `detail` for the operator: it may name roles and hosts, never a secret. `remedy` says what
    to do, if that depends on what was found. With `is_partial` the server does a part of its work all the same, with
    `is_misconfigured` waiting does not help.
    """

    reason: str
    detail: str = ""
    remedy: str | None = None
    is_partial: bool = False
    is_misconfigured: bool = False


Probe = Callable[[], Awaitable[ProbeFailure | str | None]]
"""A question whether something can do its work; the answer is what is wrong, or nothing. A text is a bare reason."""

Readiness = Literal["ready", "degraded", "unavailable"]

PROBE_TIMEOUT = 1.5
"""Seconds after which a server that has not answered counts as unavailable."""

MAX_AGE_SECONDS = 1.0
"""The servers are asked at most this often, whoever asks and however many they are: no limit guards this."""

OK = "ok"
_UNAVAILABLE, _DEGRADED = "unavailable: ", "degraded: "

INDISPENSABLE = frozenset({"postgresql", "schema"})
"""Without these nothing can be read or booked; without the others some of it can."""

CLOCK = "clock"
"""The check of what is never unavailable, only wrong: it says so in its own words."""

_log = structlog.get_logger(__name__)


class Checks:
    """What the probes found, at most a second ago."""

    def __init__(self, probes: Mapping[str, Probe]) -> None:
        self._probes = probes
        self._found: dict[str, str] = {}
        self._asking = SharedRead(self._ask)

    async def ask(self) -> dict[str, str]:
        """Return what the probes found: `ok`, or the reason why not."""
        await self._asking.be_fresh(max_age=MAX_AGE_SECONDS)
        return self._found

    async def _ask(self) -> None:
        failures = await ask_all(self._probes)
        self._found = {name: _public(name, failure) for name, failure in failures.items()}


async def ask_all(probes: Mapping[str, Probe]) -> dict[str, ProbeFailure | None]:
    """Return what each probe found wrong, or None."""
    found = await asyncio.gather(*(_ask(name, probe) for name, probe in probes.items()))
    return dict(zip(probes, found, strict=True))


def check_of(name: str, failure: ProbeFailure | None) -> str:
    """Return `ok`, or `unavailable: ` or `degraded: ` and the reason; of the clock, by how much it is off."""
    if failure is None:
        return OK
    if name == CLOCK and failure.is_partial:
        return failure.reason
    return f"{_DEGRADED if failure.is_partial else _UNAVAILABLE}{failure.reason}"


def _public(name: str, failure: ProbeFailure | None) -> str:
    # What needs a person has details that are not for everyone.
    has_more = failure is not None and failure.is_misconfigured and bool(failure.detail)
    return check_of(name, failure) + ("; `skyhold doctor` says why" if has_more else "")


def readiness_of(checks: Mapping[str, str]) -> Readiness:
    """Say whether everything works, enough to go on, or not enough."""
    failed = {name: check for name, check in checks.items() if check != OK}
    if any(name in INDISPENSABLE and check.startswith(_UNAVAILABLE) for name, check in failed.items()):
        return "unavailable"
    return "degraded" if failed else "ready"


async def _ask(name: str, probe: Probe) -> ProbeFailure | None:
    try:
        found = await asyncio.wait_for(probe(), PROBE_TIMEOUT)
    except TimeoutError:
        return ProbeFailure("no answer in time")
    except Exception as error:  # noqa: BLE001 - a probe that breaks has found something wrong, whatever it is
        # The message of a driver's error may hold an address with a password: its class says enough.
        _log.debug("probe failed", check=name, error=type(error).__name__)
        return ProbeFailure("no answer", type(error).__name__)
    return ProbeFailure(found, is_partial=name == CLOCK) if isinstance(found, str) else found
