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

from tools.chaos.sites import own_environment

BUYERS = ("--customers", "12", "--pace", "2")
"""Who come and go, and want this or that."""

CONTENDERS = ("--customers", "8", "--pace", "2", "--contend", "4")
"""Who all want the same few seats; as soon as those are sold, the next come for others."""

SHORTEST_SECONDS = 2.0
"""A crowd that ends early is followed by another, if so much time is left."""

FINISH_SECONDS = 200.0
"""After its time a crowd finishes what it holds, and lets go of the rest; that is bounded by the crowd itself."""

_COME_AGAIN_SECONDS = 1.0

_LATE = "It was not home"
_FAULTS = (_LATE, "should not have happened", "No such option")
"""What is said of a crowd, or says one, that came to nothing by a fault of its own."""


@dataclass
class Heard:
    """What the crowds of a run told, added up."""

    crowds: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    violation_count: int = 0
    broken: list[str] = field(default_factory=list)

    def hear(self, told: Mapping[str, Any]) -> None:
        """Add what one crowd told."""
        self.crowds += 1
        self.endings[str(told["closing"])] += 1
        self.counts["orders"] += told["orders"]["made"]
        for name in ("conflicts", "changes", "retries", "seatsSold"):
            self.counts[name] += told[name]
        self.violation_count += told["violations"]["count"]
        self.violations += told["violations"]["details"]


@dataclass(frozen=True)
class Crowd:
    """Who comes where: `customers` are options of `skyhold simulate`, `log` takes what it says besides its table."""

    api: str
    flights: Sequence[str]
    customers: Sequence[str]
    seed: int
    log: Path
    mark: Mapping[str, str]

    def command(self, seconds: float, number: int) -> list[str]:
        """Return the command that sends it for so long; each time it comes it is drawn anew."""
        seed = self.seed * 1000 + number
        return [
            *(sys.executable, "-m", "tools.crowd", "--api", self.api, "--json", "--no-audit"),
            *("--seed", str(seed), *self.customers, "--for", f"{seconds:.0f}s"),
            *(part for flight in self.flights for part in ("--flight", flight)),
        ]


async def send_crowds(crowd: Crowd, seconds: float, heard: Heard) -> None:
    """Send a crowd for so long; if it goes home early, send it again."""
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
    """A crowd that is there once, for so long."""

    crowd: Crowd
    seconds: float
    last_words: str = ""

    @property
    def is_broken(self) -> bool:
        """Whether it came to nothing by a fault of its own, and not because nobody let it look at the flights."""
        return any(word in self.last_words for word in _FAULTS)

    async def go(self, command: Sequence[str]) -> Mapping[str, Any] | None:
        """Run it to its end and return what it tells, or None if it tells nothing."""
        with self.crowd.log.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                env={**own_environment(), **self.crowd.mark},
                start_new_session=True,  # the Ctrl-C of a terminal is ours to pass on
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
