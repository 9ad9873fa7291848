"""The doctor's output for results of probes."""

from __future__ import annotations

import pytest

from skyhold.cli.doctor import Health, _as_json, _judge
from skyhold.health.verdict import ProbeFailure, check_of


@pytest.mark.parametrize(
    ("name", "failure", "health", "detail"),
    [
        ("redis", None, Health.GOOD, "ok"),
        ("redis", ProbeFailure("no answer"), Health.UNREACHABLE, "unavailable: no answer"),
        ("redis", ProbeFailure("out of memory", is_partial=True), Health.BAD, "degraded: out of memory"),
        (
            "postgresql",
            ProbeFailure("it only reads", "a standby", is_partial=True),
            Health.BAD,
            "degraded: it only reads (a standby)",
        ),
        ("postgresql", ProbeFailure("refused", is_misconfigured=True), Health.BAD, "unavailable: refused"),
        ("schema", ProbeFailure("is at version 0001"), Health.BAD, "unavailable: is at version 0001"),
        ("clock", ProbeFailure("off by +9.0 s", is_partial=True), Health.BAD, "off by +9.0 s"),
        ("clock", ProbeFailure("no answer"), Health.UNREACHABLE, "unavailable: no answer"),
    ],
)
def test_what_answers_and_is_not_well_is_bad_and_what_does_not_answer_unreachable(
    name: str, failure: ProbeFailure | None, health: Health, detail: str
) -> None:
    found = _judge(name, check_of(name, failure), failure)
    assert (found.health, found.detail) == (health, detail)


def test_a_probe_that_knows_a_remedy_is_believed_and_the_usual_one_is_named_otherwise() -> None:
    known = _judge("redis", "degraded: only reads", ProbeFailure("only reads", remedy="Promote it.", is_partial=True))
    usual = _judge("redis", "unavailable: no answer", ProbeFailure("no answer"))
    assert (known.remedy, "REDIS_URL" in (usual.remedy or "")) == ("Promote it.", True)
    assert set(_as_json(known)) == {"group", "name", "health", "detail", "remedy"}
