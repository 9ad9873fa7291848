"""`skyhold reconcile`: the reconciler at once, and what it found and did as a table or as JSON."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from skyhold.cli.addresses import DataDir
from skyhold.cli.failures import ExitCode, Failure, guarded
from skyhold.cli.output import AsJson, print_json, say, stdout

if TYPE_CHECKING:
    from skyhold.messages import Reconciliation

PATIENCE = timedelta(minutes=2)


@guarded
def reconcile(
    *,
    adopt: Annotated[
        str | None,
        typer.Option(
            metavar="NAMESPACE-ID",
            help="First make the open orders of a Temporal namespace that is gone for good ours.",
        ),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Find and mend what killed processes left behind, as happens every RECONCILE_INTERVAL by itself.

    Orders whose workflow is gone are brought to their end, money that is due is paid back, seat locks are brought in
    line with holds. Live orders are left alone. A worker must be running. Exit code 1 if something was not mended.

    Example: skyhold reconcile --json
    """
    from skyhold.bootstrap import reconciliation  # noqa: PLC0415 - drivers load only where they are used
    from skyhold.cli.servers import explained, settings_for  # noqa: PLC0415

    settings = settings_for(data_dir)
    with explained(settings):
        if adopt is not None:
            adopted = asyncio.run(reconciliation.adopt(settings, lost=adopt))
            say(f"{adopted} orders of the namespace {adopt} are ours now.")
        try:
            report = asyncio.run(reconciliation.reconcile(settings, within=PATIENCE))
        except reconciliation.NoReconciliation as error:
            raise Failure(f"The reconciler was started, but {error}", ExitCode.UNREACHABLE) from error
    if as_json:
        print_json(_json_of(report))
    else:
        _print(report)
    _say_what_is_left(report)
    if not all(finding.is_mended for finding in report.findings):
        raise typer.Exit(ExitCode.REFUSED)


def _print(report: Reconciliation) -> None:
    if not report.findings:
        stdout().print("Nothing is left behind.")
        return
    table = Table("Trouble", "Order", "What was found", "What came of it", box=None, pad_edge=False)
    for finding in report.findings:
        table.add_row(finding.trouble, finding.order_id or "none", finding.detail, finding.result)
    stdout().print(table)


def _say_what_is_left(report: Reconciliation) -> None:
    for namespace_id, orders in report.foreign_orders.items():
        say(
            f"Left alone: {orders} open orders of the Temporal namespace {namespace_id}, which is not ours. "
            f"If it is gone for good: skyhold reconcile --adopt {namespace_id}"
        )
    if not report.is_complete:
        say("Not all was looked at: there was too much of it, or Redis does not answer. The next run goes on.")


def _json_of(report: Reconciliation) -> dict[str, object]:
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
        "foreignOrders": report.foreign_orders,
        "isComplete": report.is_complete,
    }
