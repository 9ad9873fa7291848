"""Time-outs and retries of the booking's activities, in one place."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio.common import RetryPolicy

from skyhold.domain.holds import PAYMENT_ATTEMPT_MARGIN

LEDGER_STEP: dict[str, Any] = {
    "start_to_close_timeout": timedelta(seconds=10),
    "retry_policy": RetryPolicy(initial_interval=timedelta(seconds=0.1), maximum_interval=timedelta(seconds=1)),
}
"""Short local steps of the ledger, tried until PostgreSQL answers: a try ends by itself within 6 s."""

GATEWAY_STEP: dict[str, Any] = {
    "start_to_close_timeout": timedelta(seconds=15),
    "retry_policy": RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=5)),
}
"""Steps that must reach the gateway, tried until they have: money depends on them."""

PAYMENT_WAITS = RetryPolicy(
    initial_interval=timedelta(seconds=1), backoff_coefficient=1.5, maximum_interval=timedelta(seconds=5)
)
"""The waits between payment attempts. How many there are is decided by the ledger, which counts verdicts."""

PAYMENT_HEARTBEAT = timedelta(seconds=5)
"""A worker that died while it asked the gateway is found within this time."""

ALARM_MARGIN = timedelta(milliseconds=20)
"""The alarm rings this much after the time PostgreSQL gave, so that it seldom has to be told that some is left."""

COMMANDS_LIMIT = 1000
"""Changes of seats that one booking listens to, granted or not: Temporal takes 2,000 updates, and paying needs one."""


def payment_step(limit: timedelta) -> dict[str, Any]:
    """Return how one payment attempt is run: bounded inside, so that Temporal's own bound is never what ends it."""
    return {
        "start_to_close_timeout": limit + PAYMENT_ATTEMPT_MARGIN,
        "heartbeat_timeout": PAYMENT_HEARTBEAT,
        "retry_policy": PAYMENT_WAITS,
    }
