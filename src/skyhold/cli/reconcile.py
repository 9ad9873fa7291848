"""`skyhold reconcile`: an immediate run of the reconciler, with its findings and repairs as a table or as JSON."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from skyhold.cli.addresses import DataDir
from skyhold.cli.failures import ExitCode, Failure, guarded
from skyhold.cli.output import AsJson, counted, print_json, print_rows, say, stdout

if TYPE_CHECKING:
    from skyhold.audit.findings import AuditReport
    from skyhold.reconciliation_messages import Reconciliation

PATIENCE = timedelta(minutes=2)


@guarded
def reconcile(
    *,
    adopt: Annotated[
        str | None,
        typer.Option(
            metavar="NAMESPACE-ID",
            help="First adopt the open orders of a Temporal namespace that is lost permanently.",
        ),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Repair inconsistencies left by killed processes, as happens every RECONCILE_INTERVAL by itself.

    Orders whose workflow is gone are ended, refunds that are due are paid, seat locks are made to match the holds. Live
    orders are left alone. A worker must be running. Then the audit lists the remaining violations, which a person must
    correct; exit code 1 if there are any, or a finding was not repaired.

    Example: skyhold reconcile --json
    """
    from skyhold.bootstrap import audit, reconciliation  # noqa: PLC0415 - drivers load only where they are used
    from skyhold.cli.servers import explained, settings_for  # noqa: PLC0415

    settings = settings_for(data_dir)
    with explained(settings):
        if adopt is not None:
            adopted = asyncio.run(reconciliation.adopt(settings, lost=adopt))
            if not adopted:
                raise Failure(f"The namespace {adopt} has no order to adopt.", ExitCode.NOT_FOUND)
            say(f"Adopted: {counted(adopted, 'order')} of the namespace {adopt}.")
        try:
            report = asyncio.run(reconciliation.reconcile(settings, within=PATIENCE))
        except reconciliation.NoReconciliation as error:
            raise Failure(f"The reconciler was started, but {error}", ExitCode.UNREACHABLE) from error
        audited = asyncio.run(audit.audit(settings))
    if as_json:
        print_json(_json_of(report, audited))
    else:
        _print(report, audited)
    _say_what_was_not_done(report)
    if audited.findings or not all(finding.is_mended for finding in report.findings):
        raise typer.Exit(ExitCode.REFUSED)


def _print(report: Reconciliation, audited: AuditReport) -> None:
    if not report.findings and not audited.findings:
        stdout().print("Nothing to repair.")
    if report.findings:
        print_rows(
            ("Trouble", "Order", "Finding", "Result"),
            [(found.trouble, found.order_id or "none", found.detail, found.result) for found in report.findings],
        )
    if audited.findings:
        print_rows(
            ("Left", "Order", "Violation", "Remedy"),
            [
                (broken.invariant, broken.order_id or "none", broken.detail, broken.invariant.remedy)
                for broken in audited.findings
            ],
        )


def _say_what_was_not_done(report: Reconciliation) -> None:
    for namespace_id, orders in report.foreign_orders.items():
        say(
            f"Left alone: {counted(orders, 'open order')} of another Temporal namespace, {namespace_id}. "
            f"If it is lost permanently: skyhold reconcile --adopt {namespace_id}"
        )
    if not report.is_complete:
        say("Incomplete: there were too many findings, or a server does not answer. The next run continues.")


def _json_of(report: Reconciliation, audited: AuditReport) -> dict[str, object]:
    return {
        "findings": [
            {
                "trouble": finding.trouble,
                "orderId": finding.order_id,
                "detail": finding.detail,
                "isMended": finding.is_mended,
                "result": finding.result,
            }
            for finding in report.findings
        ],
        "left": [
            {
                "invariant": broken.invariant,
                "orderId": broken.order_id,
                "detail": broken.detail,
                "remedy": broken.invariant.remedy,
            }
            for broken in audited.findings
        ],
        "foreignOrders": report.foreign_orders,
        "isComplete": report.is_complete,
    }
