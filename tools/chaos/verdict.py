"""The verdict on one run: what was done, what came of it, and whether all is well now that it is quiet."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from skyhold.machine.endpoints import Endpoints
from tools.chaos.crowds import Heard
from tools.chaos.evidence import keep_story
from tools.chaos.ground import Ground
from tools.chaos.ledger import Ledger, OpenOrder
from tools.chaos.monkey import Act, Victim
from tools.chaos.sites import own_environment

ENDED_WITHIN_SECONDS = 120.0
"""After quiet every order must have ended within this."""

AUDIT_SECONDS = 180.0
"""It watches what may be on its way until its grace is over."""

_POLL_SECONDS = 0.25

_OUR_DOING = re.compile(r"A hold ended without a reason that its customer knows of: (CANCELLED|INTERNAL)\.")
"""What a customer says whose booking was cancelled or terminated in Temporal; each of those excuses one."""


@dataclass
class Verdict:
    """All that is told of one run; `failures` says in sentences what must not be."""

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
        """Whether all is well."""
        return not self.failures

    def to_json(self) -> dict[str, Any]:
        """Return it for a program."""
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


async def judge(verdict: Verdict, ground: Ground, endpoints: Endpoints, crowds: Sequence[asyncio.Task[None]]) -> None:
    """Wait until all customers are home and no order is open, then audit; the stories of what is wrong are kept."""
    ledger = Ledger(endpoints.database_url)
    quiet_at = monotonic()
    left = await _await_ends(ledger, crowds, quiet_at + ENDED_WITHIN_SECONDS)
    verdict.longest_wait = round(monotonic() - quiet_at, 1)
    verdict.orders = await ledger.endings()
    if not verdict.orders.get("CONFIRMED"):
        verdict.failures.append("Nothing was booked, so nothing was shown.")
    if not all(crowd.done() for crowd in crowds):
        verdict.failures.append(f"The customers are not home {ENDED_WITHIN_SECONDS:.0f} s after quiet.")
    for order in left:
        verdict.failures.append(f"Order {order.order_id} is still {order.status} at step {order.step}.")
        await keep_story(ground.directory, endpoints, ledger, order.order_id)
    await _audit(verdict, ground)
    verdict.mended = await ledger.mended()
    for finding in verdict.findings:
        verdict.failures.append(f"The audit finds {finding['invariant']} broken: {finding['detail']}")
        if order_id := finding.get("order_id"):
            await keep_story(ground.directory, endpoints, ledger, str(order_id))
    verdict.failures += verdict.heard.broken
    verdict.failures += [f"A customer saw what none must see: {told}" for told in complaints_of(verdict)]


def complaints_of(verdict: Verdict) -> list[str]:
    """Return what customers should not have seen, without the ends of bookings that were our doing and not theirs."""
    excuses = sum(verdict.faults[f"{act} {Victim.BOOKING}"] for act in (Act.CANCEL, Act.TERMINATE))
    told = []
    for violation in verdict.heard.violations:
        if excuses and _OUR_DOING.fullmatch(violation):
            excuses -= 1
        else:
            told.append(violation)
    if untold := verdict.heard.violation_count - len(verdict.heard.violations):
        told.append(f"and {untold} times more.")
    return told


async def _await_ends(ledger: Ledger, crowds: Sequence[asyncio.Task[None]], deadline: float) -> list[OpenOrder]:
    """Return the orders that are still open at the deadline; none as soon as nobody can make or has one."""
    while True:
        are_home = all(crowd.done() for crowd in crowds)
        left = await ledger.open_orders()
        if (are_home and not left) or monotonic() > deadline:
            return left
        await asyncio.sleep(_POLL_SECONDS)


async def _audit(verdict: Verdict, ground: Ground) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "skyhold", "audit", "--json", "--data-dir", str(ground.near.directory)),
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
