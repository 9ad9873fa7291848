"""Output and exit code of `skyhold audit`, by findings and unchecked invariants."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

from skyhold.audit.findings import AuditReport, Invariant, Violation
from skyhold.bootstrap import audit as bootstrap
from skyhold.cli.app import app

BROKEN = Violation(Invariant.I5, "an-order", 3, "seat:lock:{a}:1A", "the lock has no time to live")
AWAY = {Invariant.I6: "Temporal cannot be reached"}

Run = Callable[..., Result]


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command with this result of the audit."""

    def run(report: AuditReport, *arguments: str) -> Result:
        async def audit(*_: object, **__: object) -> AuditReport:
            return report

        monkeypatch.setattr(bootstrap, "audit", audit)
        return CliRunner().invoke(app, ["audit", *arguments])

    return run


@pytest.mark.parametrize(
    ("report", "code"),
    [
        (AuditReport(), 0),
        (AuditReport(foreign_orders=3), 0),
        (AuditReport((BROKEN,)), 1),
        (AuditReport(unchecked=AWAY, foreign_orders=None), 3),
        (AuditReport((BROKEN,), AWAY, None), 1),
    ],
)
@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_the_exit_code_says_whether_the_invariants_hold(
    ended: Run, report: AuditReport, code: int, arguments: tuple[str, ...]
) -> None:
    assert ended(report, *arguments).exit_code == code


def test_every_invariant_is_told_with_what_is_known_of_it(ended: Run) -> None:
    result = ended(AuditReport((BROKEN,), AWAY, 1))

    lines = result.stdout.splitlines()
    assert lines[0] == f"I1  holds   {Invariant.I1.rule}"
    assert lines[4] == f"I5  broken  {Invariant.I5.rule}"
    assert lines[5] == "I6  not checked: Temporal cannot be reached"
    assert lines[7] == "1 open order of other Temporal namespaces, left out of I5 and I6"
    assert lines[8] == "    Order     About             Finding"
    assert lines[9] == "I5  an-order  seat:lock:{a}:1A  the lock has no time to live"
    assert result.stderr == "1 finding.\nNot checked: I6.\n"


def test_a_program_is_told_the_same(ended: Run) -> None:
    told = json.loads(ended(AuditReport((BROKEN,), AWAY, 3), "--json").stdout)

    assert list(told["checked"]) == ["I1", "I2", "I3", "I4", "I5", "I7"]
    assert told["unchecked"] == {"I6": "Temporal cannot be reached"}
    assert told["foreignOrders"] == 3
    assert told["findings"] == [
        {
            "invariant": "I5",
            "order_id": "an-order",
            "step": 3,
            "subject": "seat:lock:{a}:1A",
            "detail": "the lock has no time to live",
        }
    ]
