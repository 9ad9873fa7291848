"""The verdict on one run: the faults, the results, and the checks after quiet."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from skyhold.machine.endpoints import Endpoints
from tools.chaos.crowds import Heard
from tools.chaos.environment import Environment
from tools.chaos.evidence import keep_story
from tools.chaos.ledger import Ledger, OpenOrder
from tools.chaos.sites import own_environment

ENDED_WITHIN_SECONDS = 120.0
"""Time after quiet within which every order must end."""

AUDIT_SECONDS = 180.0
"""The audit rechecks apparent violations until their grace is over."""

_POLL_SECONDS = 0.25


@dataclass
class Verdict:
    """The result of one run; `failures` has a sentence for each failed check."""

    seed: int
    seconds: float
    faults: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    orders: Mapping[str, int] = field(default_factory=dict)
    heard: Heard = field(default_factory=Heard)
    starts: Mapping[str, int] = field(default_factory=dict)
    ready_after: float | None = None
    longest_wait: float | None = None
    findings: Sequence[Mapping[str, Any]] = ()
    is_audited: bool = False
    checked: Sequence[str] = ()
    mended: int = 0
    left_over: Sequence[str] = ()
    failures: list[str] = field(default_factory=list)

    @property
    def is_passed(self) -> bool:
        """True if no check failed."""
        return not self.failures

    def to_json(self) -> dict[str, Any]:
        """Return the verdict for a program."""
        return {
            "seed": self.seed,
            "seconds": self.seconds,
            "passed": self.is_passed,
            "failures": self.failures,
            "faults": dict(sorted(self.faults.items())),
            "missed": dict(sorted(self.missed.items())),
            "supervisorStarts": dict(self.starts),
            "orders": dict(self.orders),
            "crowds": {
                "sent": self.heard.crowds,
                "endings": dict(self.heard.endings),
                **self.heard.counts,
                "violations": {"count": self.heard.violation_count, "details": self.heard.violations},
            },
            "mendedByReconciler": self.mended,
            "readyAfterSeconds": self.ready_after,
            "longestWaitSeconds": self.longest_wait,
            "checked": list(self.checked),
            "findings": list(self.findings) if self.is_audited else None,
            "processesLeft": list(self.left_over),
        }


async def judge(
    verdict: Verdict, environment: Environment, endpoints: Endpoints, crowds: Sequence[asyncio.Task[None]]
) -> None:
    """Wait until all crowds are done and no order is open, then audit; write the evidence about violations."""
    ledger = Ledger(endpoints.database_url)
    quiet_at = monotonic()
    left = await _await_ends(ledger, crowds, quiet_at + ENDED_WITHIN_SECONDS)
    verdict.longest_wait = round(monotonic() - quiet_at, 1)
    verdict.orders = await ledger.endings()
    if not verdict.orders.get("CONFIRMED"):
        verdict.failures.append("Nothing was booked, so the run proves nothing.")
    if not all(crowd.done() for crowd in crowds):
        verdict.failures.append(f"The crowds still run {ENDED_WITHIN_SECONDS:.0f} s after quiet.")
    for order in left:
        verdict.failures.append(f"Order {order.order_id} is still {order.status} at step {order.step}.")
        await keep_story(environment.directory, endpoints, ledger, order.order_id)
    await _audit(verdict, environment)
    verdict.mended = await ledger.mended()
    for finding in verdict.findings:
        verdict.failures.append(f"The audit finds {finding['invariant']} broken: {finding['detail']}")
        if order_id := finding.get("order_id"):
            await keep_story(environment.directory, endpoints, ledger, str(order_id))
    verdict.failures += verdict.heard.broken
    verdict.failures += [f"A customer saw a violation: {report}" for report in reports_of(verdict.heard)]


def reports_of(heard: Heard) -> list[str]:
    """Return the violations that customers saw, and how many more there were than the crowds described."""
    more = heard.violation_count - len(heard.violations)
    return [*heard.violations, *([f"and {more} more."] if more else [])]


async def _await_ends(ledger: Ledger, crowds: Sequence[asyncio.Task[None]], deadline: float) -> list[OpenOrder]:
    """Wait until all crowds are done and no order is open; return the orders that are still open at the deadline."""
    while True:
        are_home = all(crowd.done() for crowd in crowds)
        left = await ledger.open_orders()
        if (are_home and not left) or monotonic() > deadline:
            return left
        await asyncio.sleep(_POLL_SECONDS)


async def _audit(verdict: Verdict, environment: Environment) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "skyhold", "audit", "--json", "--data-dir", str(environment.near.directory)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=own_environment(),
    )
    async with asyncio.timeout(AUDIT_SECONDS):
        output, errors = await process.communicate()
    try:
        told = json.loads(output)
        verdict.findings, verdict.is_audited = told["findings"], True
        verdict.checked = [*told["checked"]]
        verdict.failures += [
            f"The audit could not check {name}: {why}" for name, why in told.get("unchecked", {}).items()
        ]
    except (ValueError, KeyError):
        said = errors.decode(errors="replace").strip()[-300:]
        verdict.failures.append(f"The audit ended with {process.returncode} and no answer: {said}")
