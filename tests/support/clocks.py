"""Processes whose wall clock is off, by libfaketime; what counts seconds goes on in them as everywhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REQUIRED_BY = "SKYHOLD_FAKETIME_REQUIRED"

_FOLDERS = ("/usr/lib", "/usr/lib64", "/usr/local/lib")
_LIBRARY = "faketime/libfaketimeMT.so.1"
"""The one for programs with threads."""


def clock_that_is_off(seconds: int) -> dict[str, str]:
    """Return the variables of a process that believes it to be so many seconds later; skips where that cannot be."""
    library = _find_library()
    if library is None:
        reason = "there is no libfaketime here to set a process's clock with (apt-get install libfaketime)"
        if os.environ.get(REQUIRED_BY):
            pytest.fail(reason)
        pytest.skip(reason)
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME": f"{seconds:+d}",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }


def _find_library() -> Path | None:
    found = (
        path for folder in _FOLDERS for path in (Path(folder) / _LIBRARY, *sorted(Path(folder).glob(f"*/{_LIBRARY}")))
    )
    return next(filter(Path.is_file, found), None)
