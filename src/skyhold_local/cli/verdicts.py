"""The audit after a crowd, and its verdict.

The servers are chosen as for `skyhold audit`. They are audited only if their ledger has an order that the crowd's API
created; addresses prove nothing. Otherwise the audit is skipped with the reason, which is not a failure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skyhold.cli.failures import Failure
from skyhold.cli.output import say

if TYPE_CHECKING:
    from skyhold.audit.findings import Violation


@dataclass(frozen=True)
class Verdict:
    """The audit's findings and its unchecked invariants with the reasons; or `why_not`, if it was skipped."""

    findings: tuple[Violation, ...] = ()
    unchecked: Mapping[str, str] = field(default_factory=dict)
    why_not: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the verdict for a program."""
        if self.why_not:
            return {"audited": False, "whyNot": self.why_not}
        findings = [asdict(finding) for finding in self.findings]
        return {"audited": True, "unchecked": dict(self.unchecked), "findings": findings}

    def lines(self) -> list[str]:
        """Return the verdict for a person."""
        if self.why_not:
            return [f"Not audited: {self.why_not}"]
        details = [f"  {each.invariant}  {each.subject}: {each.detail}" for each in self.findings]
        details += [f"  {invariant}  not checked: {reason}" for invariant, reason in self.unchecked.items()]
        if self.findings:
            return [f"Audited: {len(self.findings)} findings.", *details]
        if self.unchecked:
            return ["Audited in part: the checked invariants hold.", *details]
        return ["Audited: no seat sold twice, no money kept without a seat, no seat lost."]


def audit_behind(order_ids: Collection[str], data_dir: Path | None) -> Verdict:
    """Audit the Skyhold that is configured here, if its ledger has one of these orders."""
    from skyhold.bootstrap.audit import audit  # noqa: PLC0415 - drivers load only where they are used
    from skyhold.bootstrap.temporal import forward_temporal_logs  # noqa: PLC0415
    from skyhold.cli.servers import explained, settings_for  # noqa: PLC0415
    from skyhold_local.ledgers import has_any_order  # noqa: PLC0415

    if not order_ids:
        return Verdict(why_not="the crowd made no order, so the ledger behind the API cannot be identified.")
    try:
        settings = settings_for(data_dir)
        with explained(settings):
            if not asyncio.run(has_any_order(settings, order_ids)):
                return Verdict(why_not="the ledger that is configured here is not the one behind this API.")
            forward_temporal_logs("error")
            report = asyncio.run(audit(settings, on_wait=_say_wait))
    except Failure as failure:
        return Verdict(why_not=str(failure))
    unchecked = {invariant.value: reason for invariant, reason in report.unchecked.items()}
    return Verdict(report.findings, unchecked)


def _say_wait(number: int, pause: timedelta) -> None:
    say(f"The audit checks {number} apparent violations again in {max(1, round(pause.total_seconds()))} s.")
