"""A few lines of C, preloaded before the C library of a process, that simulate one fault of its machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REQUIRED_BY = "SKYHOLD_FAKETIME_REQUIRED"

_COMPILERS = ("cc", "gcc", "clang")


def preload(name: str, directory: Path) -> dict[str, str]:
    """Return the variable of a process that preloads this library; skip the test if that is impossible.

    The compiled library goes into the directory.
    """
    library = directory / f"{name}.so"
    if problem := _compile(Path(__file__).with_name(f"{name}.c"), library):
        if os.environ.get(REQUIRED_BY):
            pytest.fail(problem)
        pytest.skip(problem)
    return {"LD_PRELOAD": str(library)}


def _compile(source: Path, library: Path) -> str | None:
    """Compile the library; return the reason if that is impossible."""
    if sys.platform != "linux":
        return f"how to make a {source.stem.replace('_', ' ')} for one process is known on Linux alone"
    compiler = next(filter(None, map(shutil.which, _COMPILERS)), None)
    if compiler is None:
        return f"no C compiler to make a {source.stem.replace('_', ' ')} (apt-get install gcc libc6-dev)"
    made = subprocess.run(
        [compiler, "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return f"the C compiler makes no {source.stem.replace('_', ' ')}: {made.stderr}" if made.returncode else None
