"""What a person at a terminal sees while they pay."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import subprocess
import sys
import time

from support.commands import Skyhold

_PATIENCE_SECONDS = 40


def _read_until(terminal: int, pattern: str, seen: str = "") -> str:
    """Return all that was shown until the pattern came, which must be soon."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not re.search(pattern, seen):
        ready, _, _ = select.select([terminal], [], [], deadline - time.monotonic())
        assert ready, f"not shown: {pattern}, but: {seen}"
        seen += os.read(terminal, 4096).decode()
    return seen


def test_the_code_is_asked_for_and_not_shown_and_attempts_are_told_live(skyhold: Skyhold) -> None:
    skyhold.surroundings |= {"PAYMENT_FAILURE_RATE": "1", "PAYMENT_SIMULATED_LATENCY": "800ms"}
    skyhold.surroundings["TEMPORAL_TASK_QUEUE"] += "-terminal"
    skyhold.surroundings["SKYHOLD_API"] = skyhold.start_service().address
    order = json.loads(skyhold.run("book", "FL102", "9A", "--json").stdout)
    ours, theirs = pty.openpty()
    paying = subprocess.Popen(
        [sys.executable, "-m", "skyhold", "pay", order["orderId"]],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        cwd=skyhold.directory,
        env=skyhold.surroundings | {"TERM": "xterm", "COLUMNS": "100"},
        start_new_session=True,
    )
    os.close(theirs)
    with contextlib.closing(paying.stdout or sys.stdin) as printed:
        shown = _read_until(ours, "Payment code: ")
        os.write(ours, b"31337\n")
        for attempt in (1, 2, 3):
            shown = _read_until(ours, f"attempt {attempt} of 3", shown)
        shown = _read_until(ours, "The payment failed. Nothing was charged.", shown)
        assert paying.wait(_PATIENCE_SECONDS) == 1
        assert "PAYMENT_FAILED" in printed.read()
    os.close(ours)
    assert "31337" not in shown
