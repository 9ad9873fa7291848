"""The commands of documents, run unchanged against a stack of their own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.stacks import FOREIGN, Stack, new_stack

pytestmark = pytest.mark.rest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack with default settings."""
    with new_stack() as stack:
        stack.start()
        yield stack


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("time", ["first", pytest.param("second", marks=pytest.mark.long)])
@pytest.mark.long
def test_a_customers_whole_life_by_curl_can_be_copied_and_run(stack: Stack, tmp_path: Path, time: str) -> None:
    ended = _run("api.md", tmp_path, SKYHOLD_API=stack.endpoints.api)
    assert ended.returncode == 0, f"the {time} time: {ended.stdout[-3000:]} {ended.stderr}"
    assert ended.stderr == ""
    assert re.search(r"^[A-Z2-9]{6}$", ended.stdout, re.MULTILINE), "it ends with a booking reference"
    assert stack.json_of("audit")["findings"] == []


def test_the_commands_that_try_to_sell_a_seat_twice_can_be_copied_and_are_refused(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / ".skyhold").symlink_to(stack.data_dir)
    ended = _run("seat-invariant.md", tmp_path, SKYHOLD_STATE_DIR=str(tmp_path))
    assert ended.returncode == 0, f"{ended.stdout} {ended.stderr}"
    assert "(SEATS_UNAVAILABLE)" in ended.stderr
    assert "seat 12A passes from one order to another" in ended.stderr
    assert ended.stdout.count("Refused: ") == 2


def _run(document: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the document's bash blocks in one bash, in order."""
    text = (DOCS / document).read_text(encoding="utf-8")
    own = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return subprocess.run(
        ["bash"],  # noqa: S607 - the reader's own bash
        input="\n".join(re.findall(r"^```bash\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        cwd=folder,
        env=own | {"TMPDIR": str(folder)} | variables,
    )
