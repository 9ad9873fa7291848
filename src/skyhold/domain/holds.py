"""The clock of a hold: when it starts, restarts, is capped, stands still and runs out (docs/rules.md#the-clock).

Every instant is PostgreSQL's. A hold whose time is up keeps its seats until the ledger sets its order to EXPIRED.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from skyhold.domain.errors import DeadlineExceeded, HoldExpired

PAYMENT_ATTEMPT_MARGIN = timedelta(seconds=5)
"""Time an attempt may take beyond the gateway's limit: two transactions, and the wait before the next attempt."""

PAYMENT_HOLD_MARGIN = timedelta(minutes=1)
"""Time by which the hold of an order that is being paid outlasts its longest payment."""

LOCK_MARGIN = timedelta(minutes=1)
"""Time by which a seat lock outlives the hold that it announces (docs/rules.md#seat-locks)."""


@dataclass(frozen=True)
class Hold:
    """The instant until which seats are held, and the latest instant to which a change can extend it."""

    expires_at: datetime
    max_expires_at: datetime


def start_hold(*, now: datetime, hold_time: timedelta, max_lifetime: timedelta, departs_at: datetime) -> Hold:
    """Return the hold of an order whose seats are held from `now` on, never beyond its lifetime or departure."""
    cap = min(now + max_lifetime, departs_at)
    return Hold(expires_at=min(now + hold_time, cap), max_expires_at=cap)


def renew_hold(hold: Hold, *, now: datetime, hold_time: timedelta) -> Hold:
    """Return the hold with its full time again, starting at `now`, capped at `hold.max_expires_at`.

    A lapsed hold is never renewed: its seats may be released at any moment.

    Raises:
        HoldExpired: `now` is at or after `hold.expires_at`.
    """
    require_not_lapsed(hold, now=now)
    return Hold(expires_at=min(now + hold_time, hold.max_expires_at), max_expires_at=hold.max_expires_at)


def has_lapsed(hold: Hold, *, now: datetime) -> bool:
    """Return whether the hold's time is up; at `expires_at` itself it is."""
    return now >= hold.expires_at


def require_not_lapsed(hold: Hold, *, now: datetime) -> None:
    """Refuse a change of a hold whose time is up.

    Raises:
        HoldExpired: the time is up.
    """
    if has_lapsed(hold, now=now):
        raise HoldExpired


def require_deadline(deadline: datetime | None, *, now: datetime) -> None:
    """Refuse a command after its deadline: its caller has already got an error.

    Raises:
        DeadlineExceeded: `now` is at or after `deadline`.
    """
    if deadline is not None and now >= deadline:
        raise DeadlineExceeded


def longest_payment(*, attempts: int, attempt_limit: timedelta) -> timedelta:
    """Return the time within which an undisturbed payment is certainly over."""
    return attempts * (attempt_limit + PAYMENT_ATTEMPT_MARGIN) + PAYMENT_HOLD_MARGIN
