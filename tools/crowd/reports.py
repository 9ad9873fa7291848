"""The outcome of a crowd with faults: that of any crowd, and the faults that were injected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.table import Table

from skyhold.cli.output import print_json, stdout
from skyhold.domain.seats import sort_seats
from skyhold_local.cli.crowd import json_of, latencies_of, table_of
from skyhold_local.cli.verdicts import Verdict
from skyhold_local.simulation.crowd import Crowd
from tools.crowd.fault_plans import FaultCounts
from tools.crowd.network_faults import NetworkFault


@dataclass(frozen=True)
class FaultReport:
    """Prints the outcome of a crowd whose faults were counted here; the percentages are those of its options."""

    counts: FaultCounts
    forbidden: int
    flaky: int

    def __call__(self, crowd: Crowd, verdict: Verdict, as_json: bool) -> None:
        """Print the outcome."""
        if as_json:
            print_json(self.json_of(crowd) | {"audit": verdict.as_json()})
            return
        for part in (self.table_of(crowd), "", latencies_of(crowd), "", *verdict.lines()):
            stdout().print(part, markup=False)

    def json_of(self, crowd: Crowd) -> dict[str, Any]:
        """Return the outcome as JSON."""
        counts = self.counts
        faults = {
            "forbidden": {
                "percent": self.forbidden,
                "sent": counts.sent.total(),
                "rejected": counts.rejected.total(),
                "kinds": dict(sorted(counts.sent.items())),
            },
            "networkFaults": {
                "percent": self.flaky,
                **{fault.value: counts.network_faults[fault] for fault in NetworkFault},
            },
        }
        return json_of(crowd) | faults | ({"contention": _contention_of(crowd)} if crowd.plan.goal.is_contended else {})

    def table_of(self, crowd: Crowd) -> Table:
        """Return the outcome as a table."""
        table, counts = table_of(crowd), self.counts
        table.add_row("Forbidden requests, rejected", f"{counts.sent.total()}, {counts.rejected.total()}")
        faults = ", ".join(str(counts.network_faults[fault]) for fault in NetworkFault)
        table.add_row("Replies lost, double clicks", faults)
        if crowd.plan.goal.is_contended:
            contention = _contention_of(crowd)
            sold = f"{contention['sold']} sold to {contention['winners']} customers"
            table.add_row(f"Contention for {len(contention['seats'])} seats", sold)
            table.add_row("  refused and without a seat", str(contention["refused"]))
        return table


def _contention_of(crowd: Crowd) -> dict[str, Any]:
    """Return the customers who won, who were refused, and who released their seats without ever being refused."""
    outcomes = crowd.outcomes
    return {
        "seats": sort_seats(crowd.plan.goal.seats),
        "sold": len(outcomes.sold),
        "winners": len(outcomes.winners),
        "refused": len(outcomes.refused_customers - outcomes.winners),
        "released": len(outcomes.holders - outcomes.winners - outcomes.refused_customers),
    }
