"""Findings printed by `skyhold reconcile`: complete, however narrow the terminal or the pipe is."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from skyhold.audit.findings import AuditReport, Invariant, Violation
from skyhold.bootstrap import audit, reconciliation
from skyhold.cli.app import app
from skyhold.reconciliation_messages import Reconciliation, Repair, RepairKind

ORDER = "0193b5d2-7c1e-7aaa-8f00-00000000000a"
DETAIL = (
    "The order is SEATS_RESERVED and should have ended 75 s ago. Its workflow runs; "
    "ExpireOrder fails: DatabaseUnavailable from ReadOnlySQLTransactionError, attempt 71."
)


@pytest.mark.parametrize("columns", ["20", "80"])
def test_ids_and_errors_are_printed_whole_at_any_width(monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    async def found(*_: object, **__: object) -> Reconciliation:
        result = "It is left to its workflow, which may continue."
        return Reconciliation((Repair(RepairKind.OVERDUE_ORDER, ORDER, DETAIL, result=result),), {}, is_complete=True)

    async def audited(*_: object, **__: object) -> AuditReport:
        return AuditReport((Violation(Invariant.I6, ORDER, 3, "[a]:lock:", DETAIL),))

    monkeypatch.setattr(reconciliation, "reconcile", found)
    monkeypatch.setattr(audit, "audit", audited)
    done = CliRunner().invoke(app, ["reconcile"], env={"COLUMNS": columns})
    assert done.exit_code == 1
    rows = [line for line in done.stdout.splitlines() if ORDER in line]
    assert len(rows) == 2
    assert all(DETAIL in row for row in rows)
    assert rows[1].startswith("I6")
