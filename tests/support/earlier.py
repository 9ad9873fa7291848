"""An earlier commit of this repository to run: its source, unpacked beside the tests."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

_REPOSITORY = Path(__file__).parents[2]
_GIT = shutil.which("git")


def has_commit(commit: str) -> bool:
    """Return whether this clone has the commit: a shallow clone or an unpacked archive does not."""
    if _GIT is None:
        return False
    found = subprocess.run(
        [_GIT, "-C", str(_REPOSITORY), "cat-file", "-e", f"{commit}^{{commit}}"], capture_output=True, check=False
    )
    return found.returncode == 0


def unpack_source(commit: str, directory: Path) -> Path:
    """Unpack the source of the commit and return the directory for PYTHONPATH."""
    assert _GIT is not None
    archive = subprocess.run(
        [_GIT, "-C", str(_REPOSITORY), "archive", commit, "src"], capture_output=True, check=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(directory, filter="data")
    return directory / "src"
