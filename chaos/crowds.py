"""The crowds: `skyhold simulate` as a process, one crowd after the other until the time is over, and what they tell."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

from chaos.sites import own_environment

CUSTOMERS = 12
PACE = 2.0
SHORTEST_SECONDS = 2.0
"""A crowd that ends early is followed by another, if so much time is left."""

FINISH_SECONDS = 200.0
"""After its time a crowd finishes what it holds, and lets go of the rest; that is bounded by the crowd itself."""

_COME_AGAIN_SECONDS = 1.0


@dataclass
class Heard:
    """What the crowds of a run told, added up."""

    crowds: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)
    surprises: list[str] = field(default_factory=list)
    surprise_count: int = 0

    def hear(self, told: Mapping[str, Any]) -> None:
        """Add what one crowd told."""
        self.crowds += 1
        self.endings[str(told["closing"])] += 1
        self.counts["orders"] += told["orders"]["made"]
        for name in ("conflicts", "changes", "retries", "seatsSold"):
            self.counts[name] += told[name]
        self.surprise_count += told["surprises"]["count"]
        self.surprises += told["surprises"]["told"]


async def send_crowds(
    api: str,
    flights: Sequence[str],
    seconds: float,
    seed: int,
    *,
    log: Path,
    heard: Heard,
    mark: Mapping[str, str],
) -> None:
    """Send a crowd that wants these flights to an API for so long; if it goes home early, send another one."""
    deadline = monotonic() + seconds
    number = 0
    while (left := deadline - monotonic()) >= SHORTEST_SECONDS:
        told = await _send_crowd(api, flights, left, seed * 1000 + number, log=log, mark=mark)
        number += 1
        if told is None:
            await asyncio.sleep(_COME_AGAIN_SECONDS)
        else:
            heard.hear(told)


async def _send_crowd(
    api: str, flights: Sequence[str], seconds: float, seed: int, *, log: Path, mark: Mapping[str, str]
) -> Mapping[str, Any] | None:
    """Run one crowd to its end and return what it tells, or None if it could not even look at the flights."""
    command = [
        *(sys.executable, "-m", "skyhold", "simulate", "--api", api, "--json", "--no-audit", "--seed", str(seed)),
        *("--customers", str(CUSTOMERS), "--pace", str(PACE), "--for", f"{seconds:.0f}s"),
        *(part for flight in flights for part in ("--flight", flight)),
    ]
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            env={**own_environment(), **mark},
            start_new_session=True,  # the Ctrl-C of a terminal is ours to pass on
        )
    try:
        async with asyncio.timeout(seconds + FINISH_SECONDS):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    try:
        told = json.loads(output)
    except ValueError:
        return None
    return told if isinstance(told, dict) else None
