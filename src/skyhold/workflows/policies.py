"""Timeouts and retries of the booking's activities, in one place."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio.common import RetryPolicy

HEARTBEAT = timedelta(seconds=5)
"""A worker that died during a call to the gateway is detected within this time."""

LEDGER_STEP: dict[str, Any] = {
    "start_to_close_timeout": timedelta(seconds=10),
    "retry_policy": RetryPolicy(initial_interval=timedelta(seconds=0.1), maximum_interval=timedelta(seconds=1)),
}
"""Short local steps of the ledger, retried until PostgreSQL answers; each statement ends by itself within 6 s."""

GATEWAY_STEP: dict[str, Any] = {
    "start_to_close_timeout": timedelta(seconds=30),
    "heartbeat_timeout": HEARTBEAT,
    "retry_policy": RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=5)),
}
"""Steps that must reach the gateway, retried until they do: money depends on them."""

_SOON_AGAIN = RetryPolicy(initial_interval=timedelta(seconds=0.5), maximum_interval=timedelta(seconds=5))

SURVEY: dict[str, Any] = {
    "start_to_close_timeout": timedelta(minutes=1),
    "schedule_to_close_timeout": timedelta(minutes=2),
    "heartbeat_timeout": timedelta(seconds=10),
    "retry_policy": _SOON_AGAIN,
}
"""A survey of the reconciler. All its steps end by a deadline, since its next run is due in a minute."""

RECONCILER_STEP: dict[str, Any] = {
    "start_to_close_timeout": timedelta(seconds=10),
    "schedule_to_close_timeout": timedelta(seconds=30),
    "retry_policy": _SOON_AGAIN,
}

RECONCILER_GATEWAY_STEP: dict[str, Any] = {
    "start_to_close_timeout": timedelta(seconds=30),
    "schedule_to_close_timeout": timedelta(minutes=1),
    "heartbeat_timeout": HEARTBEAT,
    "retry_policy": _SOON_AGAIN,
}

PAYMENT_WAITS = RetryPolicy(
    initial_interval=timedelta(seconds=1), backoff_coefficient=1.5, maximum_interval=timedelta(seconds=5)
)
"""Backoff between payment attempts. The ledger, which counts verdicts, limits their number."""

ALARM_MARGIN = timedelta(milliseconds=20)
"""Delay of the alarm behind the time that PostgreSQL gave, so that the hold is rarely still running when it rings."""

COMMANDS_LIMIT = 1000
"""Seat changes that one booking accepts, refused ones included: Temporal allows 2,000 updates, and paying needs one."""


def payment_step(limit: timedelta) -> dict[str, Any]:
    """Return the options of one payment attempt; the activity itself limits the gateway call, by the order's policy.

    Temporal's timeout is only for a run that hangs while its worker lives, so it leaves time for the slowest
    transactions.
    """
    return {
        "start_to_close_timeout": limit + timedelta(seconds=30),
        "heartbeat_timeout": HEARTBEAT,
        "retry_policy": PAYMENT_WAITS,
    }
