"""Directories and programs for tests of the embedded servers. Every process started here is stopped here, by pid."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.embedded.up_process import UpProcess


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A directory that an unprivileged user can pass through, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="embedded-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def ups() -> Iterator[list[UpProcess]]:
    """Runs of `skyhold up`, killed after the test whatever its result."""
    started: list[UpProcess] = []
    yield started
    for up in started:
        up.end()
