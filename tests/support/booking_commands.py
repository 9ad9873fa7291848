"""A customer's commands, as tests send them: by their facts, answered by the reply's JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from skyhold.domain.payments import PaymentCode
from skyhold.domain.requests import Cancellation, HoldRequest, OrderCommand, Payment, SeatChange
from skyhold.workflows.booking_client import BookingClient


class BookingCommands:
    """The booking client, called with facts instead of values."""

    def __init__(self, client: BookingClient) -> None:
        self.client = client

    async def hold(self, order_id: str, flight_id: str, seats: Sequence[str], **more: Any) -> dict[str, Any]:
        return (await self.client.hold(HoldRequest(order_id, flight_id, tuple(seats), **more))).to_json()

    async def update_seats(
        self,
        order_id: str,
        seats: Sequence[str],
        *,
        version: int | None = None,
        deadline: datetime | None = None,
        expected_total_cents: int | None = None,
        update_id: str | None = None,
    ) -> dict[str, Any]:
        change = SeatChange(tuple(seats), version, deadline, expected_total_cents)
        return await self._send(order_id, change, update_id)

    async def pay(
        self,
        order_id: str,
        payment_code: str,
        *,
        version: int | None = None,
        deadline: datetime | None = None,
        update_id: str | None = None,
    ) -> dict[str, Any]:
        return await self._send(order_id, Payment(PaymentCode(payment_code), version, deadline), update_id)

    async def cancel(
        self,
        order_id: str,
        *,
        version: int | None = None,
        deadline: datetime | None = None,
        update_id: str | None = None,
    ) -> dict[str, Any]:
        return await self._send(order_id, Cancellation(version, deadline), update_id)

    async def _send(self, order_id: str, command: OrderCommand, update_id: str | None) -> dict[str, Any]:
        return (await self.client.send(order_id, command, update_id=update_id)).to_json()
