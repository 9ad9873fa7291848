"""`make bench`: start everything, measure, print a table. Exits with 1 if a number misses its target."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tools.benchmarks.measures import Measured, measure_bookings, measure_conflicts, measure_holds, measure_pages
from tools.benchmarks.processes import Bench, running_bench


async def _measure(bench: Bench) -> list[Measured]:
    return [
        await measure_holds(bench),
        *await measure_bookings(bench),
        await measure_conflicts(bench),
        await measure_pages(bench),
    ]


def main() -> int:
    """Measure everything and return the exit code."""
    with tempfile.TemporaryDirectory(prefix="skyhold-bench-") as directory:
        Path(directory).chmod(0o755)  # as root, PostgreSQL runs as another user and passes through here
        with running_bench(Path(directory) / "servers") as bench:
            found = asyncio.run(_measure(bench))
    table = Table("what", "measured", "wanted", "")
    for each in found:
        table.add_row(each.what, each.number, each.wanted, "met" if each.is_met else "[red]missed")
    Console().print(table)
    return 0 if all(each.is_met for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())
