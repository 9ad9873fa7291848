from __future__ import annotations

import pytest

from skyhold_local.simulation import crowd, goals, guests, pauses
from skyhold_local.simulation.pauses import Pauses

SHORT = 1.0
"""Longer than a busy machine hangs; otherwise a customer with a late answer would give up."""


class HastyPauses(Pauses):
    """Pauses with a short retry time, whatever the plan says."""

    def __init__(self, pace: float = 1.0, retry_seconds: float = SHORT) -> None:
        super().__init__(pace, min(retry_seconds, SHORT))


@pytest.fixture
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten all waits, and let all customers arrive at once."""
    monkeypatch.setattr(crowd, "Pauses", HastyPauses)
    monkeypatch.setattr(pauses, "STOPPING_RETRY_SECONDS", 0.1)
    monkeypatch.setattr(guests, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(guests, "LONGEST_RETRY_SECONDS", 0.02)
    monkeypatch.setattr(guests, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(goals, "LONGEST_ARRIVAL_SECONDS", 0.1)
