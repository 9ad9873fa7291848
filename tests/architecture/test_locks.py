"""The lock files: every version has hashes, and no index address."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = [*ROOT.glob("requirements*.lock"), ROOT / "tools" / "client" / "requirements.lock"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.relative_to(ROOT)))
def test_a_lock_has_a_hash_for_everything_and_names_no_place(lock: Path) -> None:
    text = lock.read_text().replace("\\\n", "")
    assert "://" not in text
    assert re.findall(r"^\s*-", text, re.MULTILINE) == [], "an option, of an index perhaps"
    requirements = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert len(requirements) > 10
    wrong = [line for line in requirements if not re.match(r"[\w.\[\],-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line)]
    assert wrong == []
