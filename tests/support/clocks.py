"""Processes whose wall clock is off, by a few lines of C preloaded before the C library; waiting is not affected.

Libraries that fake time are not used: they change waiting as well, and Python's and Temporal's threads then hang for
seconds, or fail to sleep at all.
"""

from __future__ import annotations

from pathlib import Path

from support.preloads import preload


def clock_that_is_off(seconds: int, directory: Path) -> dict[str, str]:
    """Return the variables of a process whose clock is this many seconds ahead; skip the test if that is impossible.

    The compiled library goes into the directory.
    """
    return {**preload("clock_that_is_off", directory), "OFF_SECONDS": str(seconds)}
