"""A customer who books with the client that was generated from docs/openapi.json.

Run by a test, in an environment without Skyhold: `customer.py ADDRESS`, with the client on PYTHONPATH.
Prints the answers as one JSON object.
"""

from __future__ import annotations

import json
import secrets
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from skyhold_client import AuthenticatedClient, Client
from skyhold_client.api.flights import get_flight, list_flights
from skyhold_client.api.health import get_readiness
from skyhold_client.api.orders import (
    cancel_order,
    change_seats,
    create_order,
    get_order,
    get_order_history,
    get_order_status,
    list_orders,
    pay_order,
)
from skyhold_client.models import ChangeSeatsRequest, CreateOrderRequest, OrderStatus, PayRequest

TIMEOUT_SECONDS = 30.0


def main(address: str) -> dict[str, Any]:
    """Book, change, pay and cancel, and return the answers."""
    with Client(base_url=address, raise_on_unexpected_status=True) as client:
        flight, seats = choose(client)
        booked = book(client, flight, seats)
        cancelled = cancel(client, flight, seats[3])
        return {
            "ready": get_readiness.sync(client=client).status,
            "flights": look_twice(client),
            "booked": booked,
            "cancelled": cancelled,
            "refused": refused(client, flight, seats[1]),
            "by token": by_token(address, booked["orderId"], booked["orderToken"]),
            "orders": len(list_orders.sync(client=client, limit=10).orders),
        }


def choose(client: Client) -> tuple[UUID, list[str]]:
    """Return a flight and four of its available seats."""
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    listed = list_flights.sync(client=client, origin="nyc", destination="LAX")
    assert all(flight.departure_time.date() >= tomorrow for flight in listed.flights)
    flight = UUID(listed.flights[0].id)
    seats = get_flight.sync(flight, client=client).seat_map.seats
    return flight, [seat.id for seat in seats if seat.status == "available"][:4]


def look_twice(client: Client) -> list[int]:
    """Return the statuses of two requests for the flights: the first, and one with its ETag."""
    first = list_flights.sync_detailed(client=client, limit=2)
    second = list_flights.sync_detailed(client=client, limit=2, if_none_match=f'"other", {first.headers["ETag"]}')
    return [first.status_code, second.status_code]


def book(client: Client, flight: UUID, seats: list[str]) -> dict[str, Any]:
    """Hold two seats, change one of them, pay, and return the answers."""
    key, wanted = secrets.token_hex(16), CreateOrderRequest(flight_id=str(flight), seats=seats[:2])
    held = create_order.sync_detailed(client=client, body=wanted, idempotency_key=key)
    again = create_order.sync_detailed(client=client, body=wanted, idempotency_key=key)
    order_id = held.parsed.order_id
    changed = change_seats.sync_detailed(
        order_id, client=client, body=ChangeSeatsRequest(seats=seats[1:3]), if_match=held.headers["ETag"]
    )
    paid = pay_order.sync_detailed(
        order_id,
        client=client,
        body=PayRequest(payment_code="99999"),
        idempotency_key=secrets.token_hex(16),
        if_match=changed.headers["ETag"],
    )
    status = wait_until_confirmed(client, order_id)
    history = get_order_history.sync(order_id, client=client)
    return {
        "statuses": [held.status_code, again.status_code, changed.status_code, paid.status_code],
        "is same": again.parsed.order_id == order_id,
        "replayed": [answer.headers.get("Idempotency-Replayed") for answer in (held, again)],
        "accepted": paid.parsed.status,
        "seats": status.seats,
        "total": get_order.sync(order_id, client=client).total_price_cents,
        "reference": status.reference,
        "history": [event.status for event in history.events],
        "orderId": order_id,
        "orderToken": held.parsed.order_token,
    }


def wait_until_confirmed(client: Client, order_id: str) -> Any:
    """Return the order's status once it is confirmed."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        status = get_order_status.sync(order_id, client=client)
        if status.status == OrderStatus.CONFIRMED:
            return status
        assert time.monotonic() < deadline, status
        time.sleep(0.1)


def cancel(client: Client, flight: UUID, seat: str) -> dict[str, Any]:
    """Hold a seat, cancel twice, and return the answers."""
    held = create_order.sync(client=client, body=CreateOrderRequest(flight_id=str(flight), seats=[seat]))
    answers = [cancel_order.sync_detailed(held.order_id, client=client) for _ in range(2)]
    status = get_order_status.sync(held.order_id, client=client)
    return {"statuses": [answer.status_code for answer in answers], "failureCode": status.failure_code}


def refused(client: Client, flight: UUID, taken: str) -> dict[str, Any]:
    """Send requests that must fail, and return the parsed errors."""
    conflict = create_order.sync(client=client, body=CreateOrderRequest(flight_id=str(flight), seats=[taken]))
    malformed = list_flights.sync(client=client, limit=101)
    return {
        "conflict": [conflict.status, conflict.error, [[c.seat, c.status] for c in conflict.conflicts]],
        "alternatives": len(conflict.alternatives),
        "malformed": [malformed.status, malformed.error, malformed.detail],
    }


def by_token(address: str, order_id: str, token: str) -> list[Any]:
    """Return the order's status with its token, and the problem without one."""
    with AuthenticatedClient(base_url=address, token=token) as client:
        seen = get_order_status.sync(order_id, client=client)
    with Client(base_url=address) as stranger:
        hidden = get_order_status.sync(order_id, client=stranger)
    return [seen.status, hidden.error]


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
