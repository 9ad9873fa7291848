"""Public views of a booking's order: the status query, the result, a line for Temporal's UI."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from skyhold.domain.failures import failure_of
from skyhold.domain.orders import Order, OrderStatus
from skyhold.domain.requests import rfc3339


def status_view(order: Order, *, attempt: int, last_error: str | None, now: datetime) -> dict[str, Any]:
    """Return the answer to the status query; `timerRemaining` is whole seconds, rounded up, 0 while no clock runs.

    `last_error` belongs to the last refused command; for an order that ended without a booking the reason replaces it.
    """
    failure = failure_of(order.status, order.failure_code, order.failure_reason)
    is_running = order.status is OrderStatus.SEATS_RESERVED and order.expires_at is not None
    # Never more than the full time: this process's clock may be behind PostgreSQL's, which set the instant.
    full = order.policy.hold_seconds
    left = min(full, (order.expires_at - now).total_seconds()) if is_running and order.expires_at else 0.0
    return {
        "orderId": order.id,
        "flightId": order.flight_id,
        "status": order.status.value,
        "seats": list(order.seats),
        "expiresAt": rfc3339(order.expires_at),
        "timerRemaining": max(0, math.ceil(left)),
        "paymentAttempts": attempt,
    } | _present(
        lastError=failure.line if failure else None if order.status.is_terminal else last_error,
        failureCode=failure.code if failure else None,
        failureReason=failure.sentence if failure else None,
        reference=order.reference,
    )


def result_view(order: Order) -> dict[str, Any]:
    """Return the booking's result; expiry, cancellation and a refused payment are results like any other."""
    failure = failure_of(order.status, order.failure_code, order.failure_reason)
    return {
        "orderId": order.id,
        "status": order.status.value,
        "seats": list(order.seats),
        "paymentAttempts": order.payment_attempts,
    } | _present(
        failureCode=failure.code if failure else None,
        error=failure.sentence if failure else None,
        reference=order.reference,
    )


def details_line(order: Order) -> str:
    """Return one line of Markdown for the booking's page in Temporal's UI."""
    seats = ", ".join(order.seats) or "no seats"
    match order.status:
        case OrderStatus.SEATS_RESERVED:
            return f"**{order.status}** {seats}, until {rfc3339(order.expires_at)}"
        case OrderStatus.CONFIRMED:
            return f"**{order.status}** {seats}, reference {order.reference}"
        case OrderStatus.FAILED:
            return f"**{order.status}** {order.failure_code}: {order.failure_reason}"
        case _:
            return f"**{order.status}** {seats}"


def _present(**fields: str | None) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value is not None}
