"""Time-outs and retries of the booking's activities, in one place."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio.common import RetryPolicy

HEARTBEAT = timedelta(seconds=5)
"""A worker that died while it asked the gateway is found within this time."""

LEDGER_STEP: dict[str, Any] = {
    "start_to_close_timeout": timedelta(seconds=10),
    "retry_policy": RetryPolicy(initial_interval=timedelta(seconds=0.1), maximum_interval=timedelta(seconds=1)),
}
"""Short local steps of the ledger, tried until PostgreSQL answers; each statement ends by itself within 6 s."""

GATEWAY_STEP: dict[str, Any] = {
    "start_to_close_timeout": timedelta(seconds=30),
    "heartbeat_timeout": HEARTBEAT,
    "retry_policy": RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=5)),
}
"""Steps that must reach the gateway, tried until they have: money depends on them."""

_SOON_AGAIN = RetryPolicy(initial_interval=timedelta(seconds=0.5), maximum_interval=timedelta(seconds=5))

SURVEY: dict[str, Any] = {
    "start_to_close_timeout": timedelta(minutes=1),
    "schedule_to_close_timeout": timedelta(minutes=2),
    "heartbeat_timeout": timedelta(seconds=10),
    "retry_policy": _SOON_AGAIN,
}
"""A look of the reconciler's. All that it does is given up after a while, since its next run is due in a minute."""

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
"""The waits between payment attempts. How many there are is decided by the ledger, which counts verdicts."""

ALARM_MARGIN = timedelta(milliseconds=20)
"""The alarm rings this much after the time PostgreSQL gave, so that it seldom has to be told that some is left."""

COMMANDS_LIMIT = 1000
"""Changes of seats that one booking listens to, granted or not: Temporal takes 2,000 updates, and paying needs one."""


def payment_step(limit: timedelta) -> dict[str, Any]:
    """Return how one payment attempt is run: the gateway is bounded inside, by the order's own limit.

    Temporal's bound is only for a run that hangs and yet lives, so it leaves room for the slowest transactions.
    """
    return {
        "start_to_close_timeout": limit + timedelta(seconds=30),
        "heartbeat_timeout": HEARTBEAT,
        "retry_policy": PAYMENT_WAITS,
    }
