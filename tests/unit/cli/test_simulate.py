"""Exit code of `skyhold simulate`, by the result of its crowd."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from skyhold.audit.findings import Invariant, Violation
from skyhold.cli.app import app
from skyhold.cli.failures import ExitCode
from skyhold_local.cli import simulate, verdicts
from skyhold_local.cli.crowd import line_of, picture_of
from skyhold_local.cli.verdicts import Verdict
from skyhold_local.simulation.connections import Api
from skyhold_local.simulation.crowd import Closing, Crowd, CrowdPlan
from skyhold_local.simulation.outcomes import State
from skyhold_local.simulation.replies import Act, ContractViolation, ResponseTime

ADDRESS = "http://skyhold.test"
CLEAN = Verdict()
NOTHING_TO_AUDIT = Verdict(why_not="nothing.")
NO_LATENCY = {"count": 0, "p50Ms": None, "p99Ms": None, "maxMs": None, "maxWithQueueMs": None}
BROKEN = Verdict((Violation(Invariant.I1, "an-order", 3, "12A", "The seat has two orders."),))


def a_crowd(closing: Closing | None = Closing.TIME_OVER, **states: State) -> Crowd:
    """Return a crowd with this result."""
    crowd = Crowd(Api(ADDRESS), CrowdPlan(30, 60.0, {"an-id": "FL101"}, seed=7))
    crowd.closing, crowd.failure = closing, "ConnectError"
    for order_id, state in states.items():
        crowd.outcomes.note(order_id, state)
    return crowd


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run the command with this result of the crowd, and a verdict on it."""

    def run(crowd: Crowd, *arguments: str, verdict: Verdict = CLEAN) -> Result:
        async def run_crowd(*_: object) -> tuple[Crowd, ExitCode]:
            return crowd, ExitCode.INTERRUPTED

        monkeypatch.setattr(simulate, "_find_flights", lambda *_: {"an-id": "FL101"})
        monkeypatch.setattr(simulate, "_run", run_crowd)
        monkeypatch.setattr(verdicts, "audit_behind", lambda order_ids, _: verdict if order_ids else NOTHING_TO_AUDIT)
        return CliRunner().invoke(app, ["simulate", "--api", ADDRESS, *arguments])

    return run


@pytest.mark.parametrize(
    ("closing", "states", "code", "said"),
    [
        (Closing.TIME_OVER, {"1": State.CONFIRMED, "2": State.EXPIRED}, 0, ""),
        (Closing.SOLD_OUT, {}, 0, "Every seat is sold."),
        (Closing.STOPPED, {"1": State.RELEASED}, 130, ""),
        (Closing.STOPPED, {"1": State.PAYING}, 130, "Orders that are still open: 1."),
        (Closing.UNREACHABLE, {"1": State.HELD}, 3, f"The API at {ADDRESS} does not answer any more (ConnectError)."),
        (Closing.TIME_OVER, {"1": State.PAYING}, 1, "Not every order ended."),
    ],
)
def test_the_exit_code_says_how_it_went(
    ended: Callable[..., Result], closing: Closing, states: dict[str, State], code: int, said: str
) -> None:
    result = ended(a_crowd(closing, **states))
    assert result.exit_code == code
    assert said in result.stderr
    assert "Orders" in result.stdout


@pytest.mark.parametrize("closing", list(Closing))
def test_what_nobody_must_see_is_exit_code_1_whatever_else_there_is(
    ended: Callable[..., Result], closing: Closing
) -> None:
    crowd = a_crowd(closing, order=State.CONFIRMED)
    crowd.outcomes.count_violation(ContractViolation("Sold twice on flight an-id: 1A."))
    result = ended(crowd)
    assert result.exit_code == 1
    assert "Sold twice on flight an-id: 1A." in result.stderr
    assert "1 times" in result.stderr


def test_a_program_gets_everything(ended: Callable[..., Result]) -> None:
    crowd = a_crowd(a=State.CONFIRMED, b=State.CONFIRMED, c=State.PAYMENT_FAILED)
    crowd.outcomes.record_sale("an-id", ("1A", "1B", "1C"), "a")
    crowd.outcomes.refusals.update(SEATS_UNAVAILABLE=3, ORDER_EXPIRED=1)
    crowd.outcomes.record_success(Act.HOLD, ResponseTime(0.0123, 0.0234))
    crowd.outcomes.failures["503 WORKFLOW_UNAVAILABLE"] += 4
    told = json.loads(ended(crowd, "--json").stdout)
    assert told.pop("seconds") >= 0
    assert told == {
        "customers": 30,
        "flights": ["FL101"],
        "seed": 7,
        "pace": 1.0,
        "closing": "timeOver",
        "orders": {
            "made": 3,
            "confirmed": 2,
            "declined": 0,
            "paymentFailed": 1,
            "cancelled": 0,
            "letGo": 0,
            "expired": 0,
            "failed": 0,
            "open": 0,
        },
        "endedByOthers": 0,
        "seatsSold": 3,
        "tripsWithoutSeats": 0,
        "changes": 0,
        "returns": 0,
        "conflicts": 3,
        "refusals": {"SEATS_UNAVAILABLE": 3, "ORDER_EXPIRED": 1},
        "retries": 4,
        "failures": {"503 WORKFLOW_UNAVAILABLE": 4},
        "latencies": {
            "hold": {"count": 1, "p50Ms": 12.3, "p99Ms": 12.3, "maxMs": 12.3, "maxWithQueueMs": 23.4},
            "change": NO_LATENCY,
            "payment": NO_LATENCY,
            "refusal": NO_LATENCY,
        },
        "violations": {"count": 0, "details": []},
        "audit": {"audited": True, "unchecked": {}, "findings": []},
    }


@pytest.mark.parametrize(
    ("closing", "arguments", "verdict", "code", "said"),
    [
        (Closing.TIME_OVER, (), CLEAN, 0, "Audited: no seat sold twice"),
        (Closing.TIME_OVER, (), BROKEN, 1, "I1  12A: The seat has two orders."),
        (Closing.TIME_OVER, (), Verdict(why_not="it is far away."), 0, "Not audited: it is far away."),
        (Closing.TIME_OVER, (), Verdict(unchecked={"I5": "Redis is away"}), 0, "I5  not checked: Redis is away"),
        (Closing.TIME_OVER, ("--no-audit",), BROKEN, 0, "Not audited: skipped by --no-audit."),
        (Closing.STOPPED, (), BROKEN, 130, "Not audited: stopped before the end"),
    ],
)
def test_the_audit_has_the_last_word(
    ended: Callable[..., Result],
    *,
    closing: Closing,
    arguments: tuple[str, ...],
    verdict: Verdict,
    code: int,
    said: str,
) -> None:
    result = ended(a_crowd(closing, order=State.CONFIRMED), *arguments, verdict=verdict)
    assert (result.exit_code, said in result.stdout) == (code, True)


@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        (
            BROKEN,
            {
                "audited": True,
                "unchecked": {},
                "findings": [
                    {
                        "invariant": "I1",
                        "order_id": "an-order",
                        "step": 3,
                        "subject": "12A",
                        "detail": "The seat has two orders.",
                    }
                ],
            },
        ),
        (Verdict(why_not="far away."), {"audited": False, "whyNot": "far away."}),
    ],
)
def test_a_program_gets_the_verdict(ended: Callable[..., Result], verdict: Verdict, told: dict[str, object]) -> None:
    result = ended(a_crowd(order=State.CONFIRMED), "--json", verdict=verdict)
    assert json.loads(result.stdout)["audit"] == told


def test_progress_fits_into_a_small_terminal() -> None:
    crowd = a_crowd(None, **{str(number): State.HELD for number in range(1000)})
    crowd.outcomes.refusals["SEATS_UNAVAILABLE"] = 10_000
    crowd.outcomes.recent_events.append("FL101  customer 1000 changes " + "12A " * 40)
    console = Console(width=80)
    with console.capture() as shown:
        console.print(picture_of(crowd))
    lines = shown.get().splitlines()
    assert "1000   0        0           0          10000       0" in lines[0]
    assert lines[1].split() == ["held", "paying", "confirmed", "declined", "conflicts", "released"]
    assert len(lines) == 11
    assert "held 1000  paying 0  confirmed 0" in line_of(crowd)
    assert len(line_of(crowd)) < 100


def test_progress_says_that_they_finish_and_that_they_let_go() -> None:
    crowd = a_crowd(Closing.TIME_OVER)
    console = Console(width=80)
    with console.capture() as shown:
        console.print(picture_of(crowd))
    assert "finishing" in shown.get()
    crowd.stop()
    with console.capture() as shown:
        console.print(picture_of(crowd))
    assert "Releasing holds." in shown.get()
