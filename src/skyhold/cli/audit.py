"""`skyhold audit`: the invariants over all stores, as a table or as JSON; violations are exit code 1."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

import typer
from rich.table import Table

from skyhold.cli.addresses import DataDir
from skyhold.cli.failures import ExitCode, guarded
from skyhold.cli.output import AsJson, print_json, say, stdout


@guarded
def audit(*, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Check that no seat was sold twice, no money kept without a seat, and no seat lost.

    It reads only. What looks broken is looked at again 5 seconds later, at the same step of its order, so bookings in
    flight raise no alarm. Exit code 1 if anything is broken.

    Example: skyhold audit --json
    """
    from skyhold.audit.findings import Invariant  # noqa: PLC0415 - drivers load only where they are used
    from skyhold.bootstrap import ledger  # noqa: PLC0415
    from skyhold.cli.servers import explained, settings_for  # noqa: PLC0415

    settings = settings_for(data_dir)
    with explained(settings):
        findings = asyncio.run(ledger.audit(settings))
    if as_json:
        checked = {invariant.value: invariant.rule for invariant in Invariant}
        print_json({"checked": checked, "findings": [asdict(finding) for finding in findings]})
    else:
        table = Table("Invariant", "Order", "About", "What is wrong", box=None, pad_edge=False)
        for finding in findings:
            table.add_row(finding.invariant, finding.order_id or "none", finding.subject, finding.detail)
        if findings:
            stdout().print(table)
        else:
            for invariant in Invariant:
                stdout().print(f"{invariant}  holds  {invariant.rule}", markup=False)
    if findings:
        say(f"{len(findings)} findings.")
        raise typer.Exit(ExitCode.REFUSED)
