"""docs/api.md, copied and run as it stands, by a newcomer with curl and against a service of their own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.stacks import FOREIGN, Stack, new_stack

pytestmark = pytest.mark.rest

DOCUMENT = Path(__file__).parents[2] / "docs" / "api.md"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack with the settings that a newcomer has."""
    with new_stack() as stack:
        stack.start()
        yield stack


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("time", ["first", pytest.param("second", marks=pytest.mark.long)])
@pytest.mark.long
def test_a_customers_whole_life_by_curl_can_be_copied_and_run(stack: Stack, tmp_path: Path, time: str) -> None:
    script = "\n".join(
        re.findall(r"^```bash\n(.*?)^```$", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    )
    own = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    ended = subprocess.run(
        ["bash"],  # noqa: S607 - the one of whoever copies it
        input=script,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        cwd=tmp_path,
        env=own | {"SKYHOLD_API": stack.endpoints.api, "TMPDIR": str(tmp_path)},
    )
    assert ended.returncode == 0, f"the {time} time: {ended.stdout[-3000:]} {ended.stderr}"
    assert ended.stderr == ""
    assert re.search(r"^[A-Z2-9]{6}$", ended.stdout, re.MULTILINE), "it ends with a booking reference"
    assert stack.json_of("audit")["findings"] == []
