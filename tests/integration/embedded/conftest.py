"""Directories and programs for tests of the embedded servers. Everything started here is ended here, by its pid."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.embedded.up_process import UpProcess


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A directory that a lowered user can pass through; pytest's own are closed to others."""
    path = Path(tempfile.mkdtemp(prefix="embedded-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def ups() -> Iterator[list[UpProcess]]:
    """Runs of `skyhold up`, ended after the test however it went."""
    started: list[UpProcess] = []
    yield started
    for up in started:
        up.end()
