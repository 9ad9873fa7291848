"""The app over scripted services, for tests of HTTP alone: no server, no database."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, cast

import httpx
from fastapi import FastAPI

from skyhold.domain.alternatives import Alternative
from skyhold.domain.idempotency import KeyedCommand
from skyhold.domain.orders import OrderStatus
from skyhold.domain.requests import HoldRequest, OrderCommand
from skyhold.domain.seats import Seat, SeatStatus
from skyhold.health.verdict import Checks, Probe
from skyhold.messages import OrderReply
from skyhold.queries.orders import OrderAccess, OrderSnapshot
from skyhold.queries.sales import SaleSnapshot
from skyhold.web.api.services import Services
from skyhold.web.app import create_app
from skyhold.web.contract.document import contract_of
from skyhold.web.idempotency import IdempotencyKeys
from skyhold.web.identity import GuestCookies, Identities
from skyhold.web.instances import Instance
from skyhold.web.signing import Signer
from skyhold.workflows.booking_client import StoredAnswer

FLIGHT = "550e8400-e29b-41d4-a716-446655440001"
INSTANCE = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
COOKIE = f"skyhold-guest-{INSTANCE[:12]}"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

HELD = OrderReply(
    order_id="an-order",
    flight_id=FLIGHT,
    status=OrderStatus.SEATS_RESERVED,
    seats=("12A",),
    total_price_cents=35000,
    currency="USD",
    version=1,
    expires_at=NOW + timedelta(minutes=15),
    max_expires_at=NOW + timedelta(hours=2),
)
"""The reply to every command."""


@dataclass(frozen=True)
class Sent:
    """A command as it was sent to the booking of an order."""

    order_id: str
    command: HoldRequest | OrderCommand
    update_id: str | None = None


def a_look(
    status: OrderStatus = OrderStatus.SEATS_RESERVED, failure_code: str | None = None, *, version: int = 1
) -> OrderSnapshot:
    """Return a snapshot of an order on the flight with seat 12A."""
    seats = tuple(Seat(seat, SeatStatus.AVAILABLE, None, 35000) for seat in ("12A", "12B"))
    return OrderSnapshot("a-guest", FLIGHT, status, failure_code, version, "USD", max_seats=9, seats=seats, now=NOW)


@dataclass
class ScriptedServices:
    """All readers and the booking client in one: it finds everything and holds everything, or fails as configured."""

    error: Exception | None = None
    look_error: Exception | None = None
    looks: list[OrderSnapshot | None] = field(default_factory=lambda: [a_look()])
    accesses: list[OrderAccess] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    remembered: dict[tuple[str, bytes], KeyedCommand] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    answers: dict[str, StoredAnswer] = field(default_factory=dict)
    answer_error: Exception | None = None

    async def hold(self, request: HoldRequest) -> OrderReply:
        return await self._command(request.order_id, request)

    async def send(self, order_id: str, command: OrderCommand, *, update_id: str | None = None) -> OrderReply:
        return await self._command(order_id, command, update_id=update_id)

    async def find_answer(self, order_id: str, update_id: str | None = None) -> StoredAnswer | None:
        await self._take_time("answer")
        if self.answer_error:
            raise self.answer_error
        return self.answers.get(update_id or order_id)

    async def remember(self, scope: str, key_hash: bytes, command: KeyedCommand) -> KeyedCommand:
        await self._take_time("remember")
        return self.remembered.setdefault((scope, key_hash), command)

    async def alternatives(self, *_: Any) -> tuple[Alternative, ...]:
        await self._take_time("alternatives")
        return ()

    async def snapshot(
        self, _: str, access: OrderAccess | str, wanted: Sequence[str] = ()
    ) -> OrderSnapshot | SaleSnapshot | None:
        await self._take_time("look again" if self.sent else "look")
        if self.look_error:
            raise self.look_error
        if isinstance(access, str):
            seats = tuple(Seat(seat, SeatStatus.AVAILABLE, None, 35000) for seat in wanted)
            return SaleSnapshot(NOW + timedelta(days=1), "USD", seats, NOW)
        self.accesses.append(access)
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    async def _command(
        self, order_id: str, command: HoldRequest | OrderCommand, *, update_id: str | None = None
    ) -> OrderReply:
        self.sent.append(Sent(order_id, command, update_id))
        await self._take_time("command")
        if self.error:
            raise self.error
        return replace(HELD, order_id=order_id)

    async def _take_time(self, step: str) -> None:
        await asyncio.sleep(self.seconds.get(step, 0))


def app_over(scripted: ScriptedServices, probes: dict[str, Probe] | None = None, **more: Any) -> FastAPI:
    """Return the app over scripted services."""
    stand_in = cast("Any", scripted)
    signer = Signer("a key that only tests have, of 32 characters and more")
    services = Services(
        bookings=stand_in,
        flights=stand_in,
        seat_maps=stand_in,
        orders=stand_in,
        sales=stand_in,
        identities=Identities(signer),
        cookies=a_guests_cookies(signer),
        idempotency_keys=IdempotencyKeys(signer, stand_in),
        seat_search=stand_in,
        live=stand_in,
        checks=Checks(probes or {}),
        **more,
    )
    app = create_app(services)
    contract_of(app).text = _contract()
    return app


@cache
def _contract() -> str:
    """Return the OpenAPI document, built once: building it from the routes takes longer than most tests."""
    return contract_of(create_app(cast("Any", None))).text


def a_guests_cookies(signer: Signer) -> GuestCookies:
    """Return the cookies of a known instance."""

    async def read_id() -> str:
        return INSTANCE

    instance = Instance(read_id)
    instance.known_id = INSTANCE
    return GuestCookies(Identities(signer), instance)


def client_of(app: FastAPI) -> AbstractAsyncContextManager[httpx.AsyncClient]:
    """Return a client whose requests go straight into the app."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://skyhold.test")
