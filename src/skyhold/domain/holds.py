"""The clock of a hold: when it starts, starts again, is capped, stands still and is over (docs/rules.md#the-clock).

Every instant is PostgreSQL's. A hold that is over by that clock stays its order's until the ledger says EXPIRED.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from skyhold.domain.errors import GivenUp, HoldExpired

PAYMENT_ATTEMPT_MARGIN = timedelta(seconds=5)
"""What an attempt may take beyond the gateway's limit: two transactions, and the wait before the next attempt."""

PAYMENT_HOLD_MARGIN = timedelta(minutes=1)
"""What the hold of an order that is being paid lasts beyond its longest payment."""

LOCK_MARGIN = timedelta(minutes=1)
"""What a seat lock lives beyond the hold that it carries (docs/rules.md#seat-locks)."""


@dataclass(frozen=True)
class Hold:
    """Until when seats are held, and the instant that no change can push it beyond."""

    expires_at: datetime
    max_expires_at: datetime


def start_hold(*, now: datetime, hold_time: timedelta, max_lifetime: timedelta, departs_at: datetime) -> Hold:
    """Return the hold of an order whose seats are held from `now` on, never beyond its lifetime or departure."""
    cap = min(now + max_lifetime, departs_at)
    return Hold(expires_at=min(now + hold_time, cap), max_expires_at=cap)


def renew_hold(hold: Hold, *, now: datetime, hold_time: timedelta) -> Hold:
    """Return the hold with its full time again, starting at `now`, capped at `hold.max_expires_at`.

    A lapsed hold is never renewed: its seats may be given back at any moment.

    Raises:
        HoldExpired: `now` is at or after `hold.expires_at`.
    """
    require_not_lapsed(hold, now=now)
    return Hold(expires_at=min(now + hold_time, hold.max_expires_at), max_expires_at=hold.max_expires_at)


def has_lapsed(hold: Hold, *, now: datetime) -> bool:
    """Say whether the hold's time is up; the deadline itself is too late."""
    return now >= hold.expires_at


def require_not_lapsed(hold: Hold, *, now: datetime) -> None:
    """Refuse a change of a hold whose time is up.

    Raises:
        HoldExpired: it is.
    """
    if has_lapsed(hold, now=now):
        raise HoldExpired


def require_not_given_up(give_up_at: datetime | None, *, now: datetime) -> None:
    """Refuse a command whose caller has been told no by now.

    Raises:
        GivenUp: `now` is at or after `give_up_at`.
    """
    if give_up_at is not None and now >= give_up_at:
        raise GivenUp


def longest_payment(*, attempts: int, attempt_limit: timedelta) -> timedelta:
    """Return the time within which a payment that nothing disturbs is over, for sure."""
    return attempts * (attempt_limit + PAYMENT_ATTEMPT_MARGIN) + PAYMENT_HOLD_MARGIN
