"""Output of a simulated crowd: progress as a line or drawn on a terminal, and the outcome as tables or JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from skyhold_local.simulation.crowd import Crowd
from skyhold_local.simulation.outcomes import ENDS, EVENTS_KEPT, Latency, Outcomes, State

_WORDS = {
    State.CONFIRMED: "confirmed",
    State.DECLINED: "declined",
    State.PAYMENT_FAILED: "payment failed",
    State.CANCELLED: "cancelled",
    State.RELEASED: "released at the end",
    State.EXPIRED: "expired",
    State.FAILED: "failed otherwise",
}

_BAR_WIDTH = 60


def counts_of(crowd: Crowd) -> dict[str, int]:
    """Return the counts that are shown while a crowd runs."""
    outcomes, retrying = crowd.outcomes, crowd.retrying_customers
    return {
        "held": outcomes.count(State.HELD),
        "paying": outcomes.count(State.PAYING),
        "confirmed": outcomes.count(State.CONFIRMED),
        "declined": outcomes.count(State.DECLINED, State.PAYMENT_FAILED),
        "conflicts": outcomes.conflicts,
        "released": outcomes.count(State.CANCELLED, State.RELEASED, State.EXPIRED),
        **({"retrying": retrying} if retrying else {}),
    }


def line_of(crowd: Crowd) -> str:
    """Return the progress of the crowd as a line."""
    counts = "  ".join(f"{name} {count}" for name, count in counts_of(crowd).items())
    return f"{crowd.seconds:6.1f} s  {counts}"


def picture_of(crowd: Crowd) -> Group:
    """Return the progress of the crowd for a terminal: counts, time, and the latest events."""
    counts = counts_of(crowd)
    facts = Table.grid(padding=(0, 3, 0, 0))
    facts.add_row(*[Text(str(count), style="bold") for count in counts.values()])
    facts.add_row(*[Text(name, style="dim") for name in counts])
    time = Table.grid(padding=(0, 1, 0, 0))
    bar = ProgressBar(total=crowd.plan.seconds, completed=min(crowd.seconds, crowd.plan.seconds), width=_BAR_WIDTH)
    time.add_row(bar, f"{crowd.seconds:.1f} s{', finishing' if crowd.closing else ''}")
    events = ["Releasing holds."] if crowd.is_releasing else list(crowd.outcomes.recent_events)
    lines = [Text(line, style="dim", overflow="ellipsis", no_wrap=True) for line in events]
    return Group(facts, time, *lines, *[Text()] * (EVENTS_KEPT - len(lines)))


def table_of(crowd: Crowd) -> Table:
    """Return the outcome of the crowd as a table."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(2):
        table.add_column()
    for name, value in _rows(crowd.outcomes):
        table.add_row(name, value)
    return table


def latencies_of(crowd: Crowd) -> Table:
    """Return the latencies of the crowd's commands as a table."""
    table = Table("Answered", "times", "p50 ms", "p99 ms", "max ms", "max with queue", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for act, latency in crowd.outcomes.latencies().items():
        times = (latency.p50_ms, latency.p99_ms, latency.max_ms, latency.total_max_ms)
        table.add_row(act, str(latency.count), *map(_milliseconds, times))
    return table


def json_of(crowd: Crowd) -> dict[str, Any]:
    """Return the outcome of the crowd as JSON."""
    plan, outcomes = crowd.plan, crowd.outcomes
    return {
        "customers": plan.customers,
        "flights": list(plan.flights.values()),
        "seed": plan.seed,
        "pace": plan.pace,
        "seconds": round(crowd.seconds, 1),
        "closing": crowd.closing,
        "orders": {
            "made": outcomes.orders.total(),
            **{state.value: outcomes.count(state) for state in ENDS},
            "open": len(outcomes.open_orders),
        },
        "endedByOthers": outcomes.ended_by_others,
        "seatsSold": len(outcomes.sold),
        "tripsWithoutSeats": outcomes.trips_without_seats,
        "changes": outcomes.changes,
        "returns": outcomes.returns,
        "conflicts": outcomes.conflicts,
        "refusals": dict(outcomes.refusals.most_common()),
        "retries": outcomes.retries,
        "failures": dict(outcomes.failures.most_common()),
        "latencies": {act: _json_of(latency) for act, latency in outcomes.latencies().items()},
        "violations": {"count": outcomes.violations, "details": outcomes.violation_details},
    }


def _json_of(latency: Latency) -> dict[str, Any]:
    return {
        "count": latency.count,
        "p50Ms": latency.p50_ms,
        "p99Ms": latency.p99_ms,
        "maxMs": latency.max_ms,
        "maxWithQueueMs": latency.total_max_ms,
    }


def _rows(outcomes: Outcomes) -> Iterator[tuple[str, str]]:
    yield "Orders", str(outcomes.orders.total())
    for state in ENDS:
        if count := outcomes.count(state):
            more = f", {len(outcomes.sold)} seats" if state is State.CONFIRMED else ""
            yield f"  {_WORDS[state]}", f"{count}{more}"
    if outcomes.open_orders:
        yield "  still open", str(len(outcomes.open_orders))
    if outcomes.ended_by_others:
        yield "  ended by others", str(outcomes.ended_by_others)
    yield "Trips without seats", str(outcomes.trips_without_seats)
    yield "Changes of seats", str(outcomes.changes)
    yield "Conflicts", str(outcomes.conflicts)
    yield "Refusals", str(outcomes.refusals.total())
    for code, count in outcomes.refusals.most_common():
        yield f"  {code}", str(count)
    yield "Returns to own orders", str(outcomes.returns)
    yield "Retries", str(outcomes.retries)
    for name, count in outcomes.failures.most_common():
        yield f"  {name}", str(count)


def _milliseconds(value: float | None) -> str:
    return "none" if value is None else f"{value:.1f}"
