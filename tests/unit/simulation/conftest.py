from __future__ import annotations

import pytest

from skyhold.simulation import crowd, guests


@pytest.fixture
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody wait for long, and all come at once."""
    for name, seconds in {"PATIENCE_SECONDS": 0.2, "LAST_PATIENCE_SECONDS": 0.1, "RETRY_SECONDS": 0.01}.items():
        monkeypatch.setattr(guests, name, seconds)
    monkeypatch.setattr(guests, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(crowd, "LONGEST_ARRIVAL_SECONDS", 0.1)
