"""The verdict of the audit over what a crowd has left behind, where its servers can be found.

Which servers is settled as for `skyhold audit`. That they are those behind the crowd's API is never guessed from
addresses: the ledger has to know an order that the API gave to the crowd. Otherwise nothing is audited, and it is said
why; that is no failure.
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
    from skyhold.audit.findings import Finding


@dataclass(frozen=True)
class Verdict:
    """What the audit found and what it could not check, with the reason; or why there was none at all."""

    findings: tuple[Finding, ...] = ()
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
        told = [f"  {each.invariant}  {each.subject}: {each.detail}" for each in self.findings]
        told += [f"  {invariant}  not checked: {reason}" for invariant, reason in self.unchecked.items()]
        if self.findings:
            return [f"Audited: {len(self.findings)} findings.", *told]
        if self.unchecked:
            return ["Audited in part: what could be checked holds.", *told]
        return ["Audited: no seat sold twice, no money kept without a seat, no seat lost."]


def audit_behind(order_ids: Collection[str], data_dir: Path | None) -> Verdict:
    """Audit the Skyhold whose ledger knows one of these orders, if it is the one that can be found from here."""
    from skyhold.bootstrap.audit import audit  # noqa: PLC0415 - drivers load only where they are used
    from skyhold.bootstrap.temporal import forward_temporal_logs  # noqa: PLC0415
    from skyhold.cli.servers import explained, settings_for  # noqa: PLC0415
    from skyhold_local.ledgers import knows_an_order  # noqa: PLC0415

    if not order_ids:
        return Verdict(why_not="the crowd made no order by which to know the ledger behind the API.")
    try:
        settings = settings_for(data_dir)
        with explained(settings):
            if not asyncio.run(knows_an_order(settings, order_ids)):
                return Verdict(why_not="the ledger that can be found from here is not the one behind this API.")
            forward_temporal_logs("error")
            report = asyncio.run(audit(settings, on_wait=_say_wait))
    except Failure as failure:
        return Verdict(why_not=str(failure))
    unchecked = {invariant.value: reason for invariant, reason in report.unchecked.items()}
    return Verdict(report.findings, unchecked)


def _say_wait(number: int, pause: timedelta) -> None:
    say(f"The audit looks at {number} things again in {max(1, round(pause.total_seconds()))} s.")
