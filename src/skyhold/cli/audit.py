"""`skyhold audit`: the invariants over all stores, as a table or as JSON; violations are exit code 1."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING

import typer

from skyhold.cli.addresses import DataDir
from skyhold.cli.failures import ExitCode, guarded
from skyhold.cli.output import AsJson, counted, print_json, print_rows, say, stdout

if TYPE_CHECKING:
    from skyhold.audit.findings import AuditReport


@guarded
def audit(*, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Check that no seat was sold twice, no money kept without a seat, and no seat lost.

    It only reads. A possible violation is checked again 5 seconds later, at the same step of its order, so bookings in
    flight raise no alarm; a missing seat lock or workflow may be observed for up to a minute and a half.
    Exit code 1 for violations, 3 if there is none but Redis or Temporal is unavailable.

    Example: skyhold audit --json
    """
    from skyhold.bootstrap import audit as bootstrap  # noqa: PLC0415 - drivers load only where they are used
    from skyhold.bootstrap.temporal import forward_temporal_logs  # noqa: PLC0415
    from skyhold.cli.servers import explained, settings_for  # noqa: PLC0415

    settings = settings_for(data_dir)
    forward_temporal_logs("error")
    with explained(settings):
        report = asyncio.run(bootstrap.audit(settings, on_wait=_say_wait))
    if as_json:
        print_json(_as_json(report))
    else:
        _print(report)
    if report.findings:
        say(f"{counted(len(report.findings), 'finding')}.")
    if report.unchecked:
        say(f"Not checked: {', '.join(report.unchecked)}.")
    if report.findings or report.unchecked:
        raise typer.Exit(ExitCode.REFUSED if report.findings else ExitCode.UNREACHABLE)


def _as_json(report: AuditReport) -> dict[str, object]:
    return {
        "checked": {invariant.value: invariant.rule for invariant in report.checked},
        "unchecked": {invariant.value: reason for invariant, reason in report.unchecked.items()},
        "findings": [asdict(finding) for finding in report.findings],
        "foreignOrders": report.foreign_orders,
    }


def _print(report: AuditReport) -> None:
    from skyhold.audit.findings import Invariant  # noqa: PLC0415 - drivers load only where they are used

    for invariant in Invariant:
        if reason := report.unchecked.get(invariant):
            stdout().print(f"{invariant}  not checked: {reason}", markup=False)
        else:
            verdict = "holds " if report.holds(invariant) else "broken"
            stdout().print(f"{invariant}  {verdict}  {invariant.rule}", markup=False)
    if report.foreign_orders:
        stdout().print(
            f"{counted(report.foreign_orders, 'open order')} of other Temporal namespaces, left out of I5 and I6",
            markup=False,
        )
    if report.findings:
        print_rows(
            ("", "Order", "About", "Finding"),
            [(found.invariant, found.order_id or "none", found.subject, found.detail) for found in report.findings],
        )


def _say_wait(number: int, pause: timedelta) -> None:
    say(f"{counted(number, 'possible violation')}; checking again in {max(1, round(pause.total_seconds()))} s.")
