"""`python -m tools.chaos` itself: half a minute of it, and the state after an interruption."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools.chaos.leftovers import processes_of

pytestmark = pytest.mark.rest

ROOT = Path(__file__).parents[2]


@pytest.mark.long
@pytest.mark.timeout(400)
def test_after_half_a_minute_of_chaos_all_is_well() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.chaos", "--seed", "1", "--for", "30s", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (verdict,) = json.loads(done.stdout)
    assert verdict["passed"]
    assert sum(verdict["faults"].values()) >= 5
    assert verdict["orders"]["CONFIRMED"] >= 1
    assert verdict["findings"] == []


@pytest.mark.long
def test_an_interrupted_run_ends_all_that_it_started_and_stopped() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tools.chaos", "--seed", "1", "--for", "60s"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "  stop " in line:
                break
        time.sleep(0.5)  # during the stop, which lasts for a second at least
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        assert process.wait(90) == 130, said
    kept = re.search(r"kept in\s+(\S+)", said)
    assert kept, said
    assert processes_of(Path(kept[1])) == []
    shutil.rmtree(kept[1])
