"""Processes whose wall clock is off, by a few lines of C put before the C library; all that waits goes on as it is.

No library for faking time: those get into waiting as well, and Python's and Temporal's threads then stand still for
seconds, or fail to sleep at all.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REQUIRED_BY = "SKYHOLD_FAKETIME_REQUIRED"

_SOURCE = Path(__file__).with_name("clock_that_is_off.c")
_COMPILERS = ("cc", "gcc", "clang")


def clock_that_is_off(seconds: int, directory: Path) -> dict[str, str]:
    """Return the variables of a process that believes it to be so many seconds later; skips where that cannot be.

    What is compiled for it goes into the directory.
    """
    library = directory / "clock_that_is_off.so"
    if problem := _compile(library):
        if os.environ.get(REQUIRED_BY):
            pytest.fail(problem)
        pytest.skip(problem)
    return {"LD_PRELOAD": str(library), "OFF_SECONDS": str(seconds)}


def _compile(library: Path) -> str | None:
    """Make the library, or say why that cannot be."""
    if sys.platform != "linux":
        return "a clock that is off for one process is only known how to make on Linux"
    compiler = next(filter(None, map(shutil.which, _COMPILERS)), None)
    if compiler is None:
        return "there is no C compiler here to make a clock that is off (apt-get install gcc libc6-dev)"
    made = subprocess.run(
        [compiler, "-shared", "-fPIC", "-O2", "-o", library, _SOURCE, "-ldl"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return f"the C compiler makes no clock that is off: {made.stderr}" if made.returncode else None
