"""Examples for the contract: bodies of requests and replies, and the facts that some refusals have."""

from __future__ import annotations

from typing import Any

from skyhold.domain import errors

_FLIGHT_ID = "550e8400-e29b-41d4-a716-446655440001"
_ORDER_ID = "0198b0c4-7a3e-7d52-9c8a-3f1e5b7a9d20"
_NOW = "2026-03-01T12:00:00.000Z"
_EXPIRES_AT = "2026-03-01T12:15:00.000Z"
_MAX_EXPIRES_AT = "2026-03-01T15:00:00.000Z"

_FLIGHT = {
    "id": _FLIGHT_ID,
    "flightNumber": "FL101",
    "origin": "NYC",
    "destination": "LAX",
    "departureTime": "2026-03-03T14:00:00.000Z",
    "departureZone": "America/New_York",
    "arrivalTime": "2026-03-03T20:00:00.000Z",
    "arrivalZone": "America/Los_Angeles",
    "totalSeats": 120,
    "availableSeats": 118,
    "priceCents": 35000,
    "currency": "USD",
}

_SEAT = {
    "id": "12A",
    "row": 12,
    "column": "A",
    "status": "available",
    "cabin": "economy",
    "features": ["window"],
    "priceCents": 35000,
    "version": 1,
}

_STATUS = {
    "orderId": _ORDER_ID,
    "flightId": _FLIGHT_ID,
    "status": "SEATS_RESERVED",
    "seats": ["12A", "12B"],
    "expiresAt": _EXPIRES_AT,
    "timerRemaining": 900,
    "paymentAttempts": 0,
    "maxPaymentAttempts": 3,
    "serverTime": _NOW,
}

_CHANGED = {
    "orderId": _ORDER_ID,
    "status": "SEATS_RESERVED",
    "seats": ["12A", "12C"],
    "totalPriceCents": 70000,
    "expiresAt": _EXPIRES_AT,
    "serverTime": _NOW,
}

_ORDER = _STATUS | {
    "workflowId": f"booking-{_ORDER_ID}",
    "version": 1,
    "seatPrices": [{"id": "12A", "priceCents": 35000}, {"id": "12B", "priceCents": 35000}],
    "totalPriceCents": 70000,
    "currency": "USD",
    "maxExpiresAt": _MAX_EXPIRES_AT,
    "createdAt": _NOW,
    "updatedAt": _NOW,
    "availableActions": ["change-seats", "pay", "cancel"],
}

_HELD = _CHANGED | {
    "orderToken": "kJ3v0l8ZbX5cQwT1mUeYgPn7sD2fHaR4iOqLxVt6BzE",
    "seats": ["12A", "12B"],
    "workflowId": f"booking-{_ORDER_ID}",
    "flightId": _FLIGHT_ID,
    "currency": "USD",
    "maxExpiresAt": _MAX_EXPIRES_AT,
}

_HELD_EVENT = {
    "seq": 2,
    "status": "SEATS_RESERVED",
    "version": 1,
    "seats": ["12A", "12B"],
    "expiresAt": _EXPIRES_AT,
    "at": _NOW,
}

_READY = {
    "status": "ready",
    "checks": dict.fromkeys(("postgresql", "redis", "temporal", "worker", "schema"), "ok"),
}

REQUESTS: dict[str, Any] = {
    "createOrder": {"flightId": _FLIGHT_ID, "seats": ["12A", "12B"], "expectedTotalCents": 70000},
    "changeSeats": {"seats": ["12A", "12C"], "expectedTotalCents": 70000},
    "payOrder": {"paymentCode": "99999"},
}
"""Bodies of requests, by operation id."""

REPLIES: dict[str, Any] = {
    "listFlights": {"flights": [_FLIGHT], "nextCursor": None},
    "getFlight": _FLIGHT
    | {
        "seatMap": {
            "rows": 20,
            "seatsPerRow": 6,
            "cabins": [{"name": "economy", "firstRow": 1, "lastRow": 20, "layout": "ABC DEF", "exitRows": [10]}],
            "seats": [_SEAT],
        }
    },
    "suggestSeats": {
        "currency": "USD",
        "suggestions": [
            {"seats": ["12A", "12B"], "totalPriceCents": 70000},
            {"seats": ["12E", "12F"], "totalPriceCents": 70000},
        ],
    },
    "createOrder": _HELD,
    "listOrders": {"orders": [_ORDER], "nextCursor": None},
    "changeSeats": _CHANGED,
    "payOrder": {"orderId": _ORDER_ID, "status": "PAYMENT_PENDING"},
    "getOrder": _ORDER,
    "getOrderStatus": _STATUS,
    "getOrderHistory": {"orderId": _ORDER_ID, "events": [_HELD_EVENT]},
    "getLiveness": {"status": "alive"},
    "getReadiness": _READY,
    "getHealth": _READY,
}
"""Bodies of successful replies, by operation id."""

FACTS: dict[type[Exception], dict[str, Any]] = {
    errors.InvalidRequest: {
        "errors": [{"pointer": "/limit", "detail": "must be a whole number from 1 to 100", "in": "query"}]
    },
    errors.InvalidPaymentCode: {"errors": [{"pointer": "/paymentCode", "detail": "must be 5 digits"}]},
    errors.InvalidSeats: {"seats": [{"seat": "99A", "detail": "is not on this aircraft"}]},
    errors.SeatsUnavailable: {
        "conflicts": [{"seat": "12A", "status": "reserved"}],
        "alternatives": [{"seats": ["12C"], "totalPriceCents": 35000}],
    },
    errors.PriceChanged: {"totalPriceCents": 74000, "currency": "USD"},
    errors.HoldLimit: {"limit": 5},
    errors.TooManyChanges: {"limit": 200},
    errors.WorkflowUnavailable: {"outcome": "unknown", "orderId": _ORDER_ID},
}
"""The members that a problem has besides those of all problems, by error."""
