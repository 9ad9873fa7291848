"""Clocks that are off: detection, message, and the time used while PostgreSQL's is unknown."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from skyhold.domain.errors import DatabaseUnavailable
from skyhold.health import clocks
from skyhold.queries.servers import ClockReading, ServerQueries

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Answers:
    """A database that returns its time, fails, or does not answer."""

    def __init__(self, answer: datetime | Exception | None) -> None:
        self._answer = answer

    async def row(self, _statement: str) -> dict[str, datetime]:
        if self._answer is None:
            await asyncio.Event().wait()
        if isinstance(self._answer, datetime):
            return {"now": self._answer}
        raise self._answer or AssertionError


def _servers(answer: datetime | Exception | None) -> ServerQueries:
    return ServerQueries(cast("Any", Answers(answer)))


def _reading(*, ahead: float, took: float) -> ClockReading:
    """Return a reading of a machine that is this far ahead, with the same delay in both directions."""
    middle, half = NOW + timedelta(seconds=ahead), timedelta(seconds=took / 2)
    return ClockReading(middle - half, NOW, middle + half)


@pytest.mark.parametrize(
    ("ahead", "took", "told"),
    [
        (3600, 0.01, "off by +3600.0 s from PostgreSQL's clock"),
        (-3600, 0.01, "off by -3600.0 s from PostgreSQL's clock"),
        (2.1, 0, "off by +2.1 s from PostgreSQL's clock"),
        (2, 0, None),
        (-2, 0, None),
        (0, 0, None),
        # It may be within the tolerance, if all of the delay was in one direction.
        (2.5, 1, None),
        (-2.5, 1, None),
        (2.6, 1, "off by +2.6 s from PostgreSQL's clock"),
        (0, 10, None),
    ],
)
def test_a_clock_is_off_by_what_the_time_of_the_question_does_not_explain(
    ahead: float, took: float, told: str | None
) -> None:
    assert clocks.clock_trouble(_reading(ahead=ahead, took=took)) == told


async def test_the_clock_is_held_against_this_machines_around_the_question() -> None:
    before = datetime.now(UTC)
    reading = await _servers(NOW).clock()
    assert reading.now == NOW
    assert before <= reading.asked_at <= reading.answered_at <= datetime.now(UTC)
    told = await clocks.clock_probe(_servers(before + timedelta(hours=1)))()
    assert told == "off by -3600.0 s from PostgreSQL's clock"


async def test_the_common_time_is_postgresqls() -> None:
    assert await clocks.common_time(_servers(NOW)) == NOW


@pytest.mark.parametrize("answer", [DatabaseUnavailable(), None], ids=["broken", "silent"])
async def test_while_postgresql_is_away_the_time_of_this_machine_has_to_do(answer: Exception | None) -> None:
    before = datetime.now(UTC)
    assert before <= await clocks.common_time(_servers(answer)) <= datetime.now(UTC)
