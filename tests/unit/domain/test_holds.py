"""The clock of a hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyhold.domain.errors import DeadlineExceeded, HoldExpired
from skyhold.domain.holds import (
    PAYMENT_ATTEMPT_MARGIN,
    Hold,
    has_lapsed,
    longest_payment,
    renew_hold,
    require_deadline,
    require_not_lapsed,
    start_hold,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
INSTANT = timedelta(microseconds=1)

some_time = st.timedeltas(INSTANT, timedelta(days=30))


@given(hold_time=some_time, max_lifetime=some_time, departs_in=some_time, waits=st.lists(some_time, max_size=12))
def test_however_often_it_is_renewed_a_hold_ends_by_its_cap_and_never_earlier_than_before(
    hold_time: timedelta, max_lifetime: timedelta, departs_in: timedelta, waits: list[timedelta]
) -> None:
    hold = start_hold(now=NOON, hold_time=hold_time, max_lifetime=max_lifetime, departs_at=NOON + departs_in)
    cap = NOON + min(max_lifetime, departs_in)
    assert hold.max_expires_at == cap
    assert NOON < hold.expires_at <= cap
    now = NOON
    for wait in waits:
        now += wait
        before = hold
        if now >= before.expires_at:
            with pytest.raises(HoldExpired):
                renew_hold(before, now=now, hold_time=hold_time)
            return
        hold = renew_hold(before, now=now, hold_time=hold_time)
        assert before.expires_at <= hold.expires_at <= cap
        assert hold.expires_at == min(now + hold_time, cap), "the full time again, but for the cap"
        assert hold.max_expires_at == cap


def test_the_deadline_itself_is_too_late() -> None:
    hold = Hold(NOON, NOON + MINUTE)
    assert not has_lapsed(hold, now=NOON - INSTANT)
    require_not_lapsed(hold, now=NOON - INSTANT)
    assert has_lapsed(hold, now=NOON)
    with pytest.raises(HoldExpired):
        require_not_lapsed(hold, now=NOON)


def test_a_command_is_given_up_from_its_instant_on() -> None:
    require_deadline(None, now=NOON)
    require_deadline(NOON + INSTANT, now=NOON)
    for instant in (NOON, NOON - MINUTE):
        with pytest.raises(DeadlineExceeded):
            require_deadline(instant, now=NOON)


@given(attempts=st.integers(1, 20), attempt_limit=some_time)
def test_the_longest_payment_outlasts_every_attempt_and_the_waits_between(
    attempts: int, attempt_limit: timedelta
) -> None:
    longest = longest_payment(attempts=attempts, attempt_limit=attempt_limit)
    assert longest > attempts * (attempt_limit + PAYMENT_ATTEMPT_MARGIN)
    assert longest < longest_payment(attempts=attempts + 1, attempt_limit=attempt_limit)
