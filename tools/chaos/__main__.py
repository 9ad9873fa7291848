"""`make chaos`: book while a monkey injects faults, then check the result. Exits with 1 if a check fails."""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from skyhold.settings import parse_duration
from tools.chaos.report import tell
from tools.chaos.run import run
from tools.chaos.verdict import Verdict

DEFAULT_SEED = 1
LONGEST_SECONDS = 3600.0
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run every seed on servers of its own and return the exit code."""
    options = _read(arguments)
    # SIGTERM of a service manager gets the same clean end as Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        verdicts = [_run(seed, options) for seed in options.seed or [DEFAULT_SEED]]
    except KeyboardInterrupt:
        return INTERRUPTED
    if options.json:
        print(json.dumps([verdict.to_json() for verdict in verdicts], indent=2))  # noqa: T201 - the result
    return 0 if all(verdict.is_passed for verdict in verdicts) else 1


def _run(seed: int, options: argparse.Namespace) -> Verdict:
    errors = Console(stderr=True)
    directory = Path(tempfile.mkdtemp(prefix="skyhold-chaos-"))
    directory.chmod(0o755)  # as root, PostgreSQL runs as another user and passes through here
    is_kept = True
    try:
        verdict = asyncio.run(run(directory, seed=seed, seconds=options.seconds, say=_Progress(directory)))
        is_kept = options.keep or not verdict.is_passed
    finally:
        if is_kept:
            errors.print(f"Logs and evidence are kept in {directory}", markup=False)
        else:
            shutil.rmtree(directory, ignore_errors=True)
    if not options.json:
        tell(verdict, Console())
    return verdict


class _Progress:
    """Progress for a person; also written, with the time of day, to a file beside the logs that it explains."""

    def __init__(self, directory: Path) -> None:
        self._console = Console(stderr=True)
        self._log = directory / "chaos.log"

    def __call__(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False)
        with self._log.open("a", encoding="utf-8") as log:
            log.write(f"{datetime.now(UTC):%H:%M:%S.%f}  {line}\n")


def _read(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, action="append", help="seed of the random draws; may be repeated (1)")
    parser.add_argument("--for", dest="seconds", type=_seconds, default=60.0, help="time for faults, as 30s or 5m (1m)")
    parser.add_argument("--json", action="store_true", help="print the verdicts as JSON")
    parser.add_argument("--keep", action="store_true", help="keep logs and data of passed runs, too")
    return parser.parse_args(arguments)


def _seconds(text: str) -> float:
    try:
        seconds = parse_duration(text).total_seconds()
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if not 1 <= seconds <= LONGEST_SECONDS:
        raise argparse.ArgumentTypeError("must be from a second to an hour")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
