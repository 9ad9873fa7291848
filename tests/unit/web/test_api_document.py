"""The documents of the API are complete: docs/rules.md has every code, docs/api.md every call."""

from __future__ import annotations

import json
import re
from pathlib import Path

from skyhold.web.problems import PROBLEMS

DOCS = Path(__file__).parents[3] / "docs"
TEXT = (DOCS / "api.md").read_text(encoding="utf-8")
ERRORS = (DOCS / "rules.md").read_text(encoding="utf-8").partition("\n## Errors\n")[2].partition("\n## ")[0]


def test_every_code_that_can_be_answered_is_in_the_table_with_its_status() -> None:
    rows = [row.split("|") for row in ERRORS.splitlines() if row.startswith("| ")]
    told = {
        (int(status), code)
        for _, statuses, codes, *_ in rows
        for status in re.findall(r"\d{3}", statuses)
        for code in re.findall(r"`([A-Z_]+)`", codes)
    }
    missing = {(status, kind.code) for kind, (status, _) in PROBLEMS.items()} - told
    assert missing == set()
    codes = {kind.code for kind in PROBLEMS}
    assert {code for _, code in told} - codes == set(), "nothing is told that cannot be answered"


def test_every_call_of_the_contract_is_made() -> None:
    contract = json.loads((DOCS / "openapi.json").read_text(encoding="utf-8"))
    made = re.sub(r"\$(flight|order|second)\b", "{id}", TEXT)
    for path in contract["paths"]:
        if path.startswith("/api/"):
            assert re.search(re.escape(re.sub(r"\{\w+\}", "{id}", path)) + r'["?]', made), path
