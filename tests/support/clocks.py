"""Processes whose wall clock is off, by a few lines of C put before the C library; all that waits goes on as it is.

No library for faking time: those get into waiting as well, and Python's and Temporal's threads then stand still for
seconds, or fail to sleep at all.
"""

from __future__ import annotations

from pathlib import Path

from support.preloads import preload


def clock_that_is_off(seconds: int, directory: Path) -> dict[str, str]:
    """Return the variables of a process that believes it to be so many seconds later; skips where that cannot be.

    What is compiled for it goes into the directory.
    """
    return {**preload("clock_that_is_off", directory), "OFF_SECONDS": str(seconds)}
