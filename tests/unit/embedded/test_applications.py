"""Readiness of the API in `skyhold up`."""

from __future__ import annotations

import pytest

from skyhold_local.embedded.applications import Api

OFF = "off by +3600.0 s from PostgreSQL's clock"
AWAY = "unavailable: no answer"


@pytest.mark.parametrize(
    ("status", "checks", "is_ready"),
    [
        ("ready", {"redis": "ok", "clock": "ok"}, True),
        ("degraded", {"redis": "ok", "clock": OFF}, True),
        ("degraded", {"redis": AWAY, "clock": OFF}, False),
        ("degraded", {"redis": AWAY, "clock": "ok"}, False),
        ("unavailable", {"postgresql": AWAY, "clock": AWAY}, False),
        ("", None, False),
    ],
)
def test_a_clock_that_is_off_does_not_keep_anyone_waiting(
    status: str, checks: dict[str, str] | None, is_ready: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Api, "readiness", lambda _: {"status": status, "checks": checks})
    assert Api.answers(object.__new__(Api)) is is_ready
