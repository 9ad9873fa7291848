"""Output of commands in any encoding."""

from __future__ import annotations

import io
import json
import sys

import pytest

from skyhold.cli.output import print_json


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", "cp1252"])
def test_json_is_the_same_data_in_any_encoding(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    output = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(output, encoding, "strict", write_through=True))
    print_json({"city": "Łódź, São Paulo 東京"})
    assert json.loads(output.getvalue().decode(encoding)) == {"city": "Łódź, São Paulo 東京"}
