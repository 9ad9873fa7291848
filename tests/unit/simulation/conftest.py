from __future__ import annotations

import pytest

from skyhold_local.simulation import crowd, goals, guests, pauses
from skyhold_local.simulation.pauses import Pauses

SHORT = 1.0
"""Longer than a busy machine stands still for, else who is only answered late would give up."""


class HastyPauses(Pauses):
    """Those of people whose retry_seconds is short, whatever their plan says."""

    def __init__(self, pace: float = 1.0, retry_seconds: float = SHORT) -> None:
        super().__init__(pace, min(retry_seconds, SHORT))


@pytest.fixture
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody wait for long, and all come at once."""
    monkeypatch.setattr(crowd, "Pauses", HastyPauses)
    monkeypatch.setattr(pauses, "STOPPING_RETRY_SECONDS", 0.1)
    monkeypatch.setattr(guests, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(guests, "LONGEST_RETRY_SECONDS", 0.02)
    monkeypatch.setattr(guests, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(goals, "LONGEST_ARRIVAL_SECONDS", 0.1)
