"""A verdict for a person: a table of faults and results, then one line for each failure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tools.chaos.verdict import Verdict


def tell(verdict: Verdict, console: Console) -> None:
    """Print the verdict on one run."""
    console.print(_table_of(verdict))
    for failure in verdict.failures:
        console.print(failure, markup=False, highlight=False, soft_wrap=True)


def _table_of(verdict: Verdict) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, title=f"Seed {verdict.seed}", title_justify="left")
    for name, value in _rows(verdict):
        table.add_row(name, value)
    word = Text("PASS", style="bold green") if verdict.is_passed else Text("FAIL", style="bold red")
    table.add_row("Verdict", word)
    return table


def _rows(verdict: Verdict) -> Iterator[tuple[str, str]]:
    missed = verdict.missed.total()
    yield "Faults", f"{verdict.faults.total()}" + (f", and {missed} without a target" if missed else "")
    yield from ((f"  {name}", str(count)) for name, count in sorted(verdict.faults.items()))
    yield "Starts of `skyhold up`", _listed(verdict.starts)
    yield "Orders", str(sum(verdict.orders.values()))
    yield from ((f"  {ending}", str(count)) for ending, count in verdict.orders.items())
    yield "Repaired by the reconciler", str(verdict.mended)
    heard = verdict.heard
    yield "Crowds", f"{heard.crowds} ({_listed(heard.endings)})"
    yield from ((f"  {name}", str(count)) for name, count in heard.counts.items())
    yield "  violations", str(heard.violation_count)
    if verdict.ready_after is not None:
        yield "All ready after", f"{verdict.ready_after} s of quiet"
    if verdict.longest_wait is not None:
        yield "All orders ended after", f"{verdict.longest_wait} s more"
    yield (
        "Audit",
        f"{len(verdict.findings)} findings, checked {' '.join(verdict.checked)}" if verdict.is_audited else "none",
    )
    yield "Processes left", str(len(verdict.left_over))


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
