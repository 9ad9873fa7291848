"""The crowds: simulated customers in a process, one crowd after the other until the time is over, and their results."""

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

from tools.chaos.sites import own_environment

BUYERS = ("--customers", "12", "--pace", "2")
"""Customers of all kinds, on all flights."""

CONTENDERS = ("--customers", "8", "--pace", "2", "--contend", "4")
"""Customers who all want the same few seats; when those are sold, the next crowd contends for others."""

SHORTEST_SECONDS = 2.0
"""A crowd that ends early is followed by another, if at least this time is left."""

FINISH_SECONDS = 200.0
"""Limit for a crowd after its time: it pays for its holds or cancels them, within a limit of its own."""

_COME_AGAIN_SECONDS = 1.0

_LATE = "It still ran"
_FAULTS = (_LATE, "should not have happened", "No such option")
"""Parts of the last line of a crowd that failed by a fault of its own."""


@dataclass
class Heard:
    """The results of all crowds of a run, added up."""

    crowds: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    violation_count: int = 0
    broken: list[str] = field(default_factory=list)

    def hear(self, told: Mapping[str, Any]) -> None:
        """Add the result of one crowd."""
        self.crowds += 1
        self.endings[str(told["closing"])] += 1
        self.counts["orders"] += told["orders"]["made"]
        for name in ("conflicts", "changes", "retries", "seatsSold"):
            self.counts[name] += told[name]
        self.violation_count += told["violations"]["count"]
        self.violations += told["violations"]["details"]


@dataclass(frozen=True)
class Crowd:
    """One crowd and its API: `customers` are command line options, `log` gets its stderr."""

    api: str
    flights: Sequence[str]
    customers: Sequence[str]
    seed: int
    log: Path
    mark: Mapping[str, str]

    def command(self, seconds: float, number: int) -> list[str]:
        """Return the command that runs it for this time; each number has new random draws."""
        seed = self.seed * 1000 + number
        return [
            *(sys.executable, "-m", "tools.crowd", "--api", self.api, "--json", "--no-audit"),
            *("--seed", str(seed), *self.customers, "--for", f"{seconds:.0f}s"),
            *(part for flight in self.flights for part in ("--flight", flight)),
        ]


async def send_crowds(crowd: Crowd, seconds: float, heard: Heard) -> None:
    """Run a crowd for this time; run it again if it ends early."""
    deadline = monotonic() + seconds
    number = 0
    while (left := deadline - monotonic()) >= SHORTEST_SECONDS:
        visit = _Visit(crowd, left)
        number += 1
        if told := await visit.go(crowd.command(left, number)):
            heard.hear(told)
        elif visit.is_broken:
            heard.broken.append(f"A crowd broke: {visit.last_words}")
            return
        else:
            await asyncio.sleep(_COME_AGAIN_SECONDS)


@dataclass
class _Visit:
    """One run of a crowd, for a limited time."""

    crowd: Crowd
    seconds: float
    last_words: str = ""

    @property
    def is_broken(self) -> bool:
        """True if it failed by a fault of its own, and not because the API was unavailable at its start."""
        return any(word in self.last_words for word in _FAULTS)

    async def go(self, command: Sequence[str]) -> Mapping[str, Any] | None:
        """Run it to its end and return its result, or None if it printed none."""
        with self.crowd.log.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                env={**own_environment(), **self.crowd.mark},
                start_new_session=True,  # the terminal's Ctrl-C must reach this process only
            )
        output = b""
        try:
            async with asyncio.timeout(self.seconds + FINISH_SECONDS):
                output, _ = await process.communicate()
        except TimeoutError:
            self.last_words = f"{_LATE} {FINISH_SECONDS:.0f} s after its time."
            return None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        try:
            told = json.loads(output)
        except ValueError:
            self.last_words = self.crowd.log.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2]
            return None
        return told if isinstance(told, dict) else None
