"""The API and a worker in this process, as bootstrap builds them, over real servers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from skyhold.bootstrap.api import open_api
from skyhold.bootstrap.workers import open_worker
from skyhold.settings import Settings
from support.web import client_of

FL101 = "550e8400-e29b-41d4-a716-446655440001"
SK900 = "550e8400-e29b-41d4-a716-446655440005"

SECRET_KEY = "a key that only tests have, of 32 characters and more"

TERMINAL = {"CONFIRMED", "FAILED", "EXPIRED"}

T = TypeVar("T")


@dataclass
class Service:
    """An API with a client."""

    api: httpx.AsyncClient

    async def hold(self, *seats: str, flight_id: str = FL101) -> dict[str, Any]:
        reply = await self.order(seats, flight_id=flight_id)
        assert reply.status_code == 201, reply.text
        body: dict[str, Any] = reply.json()
        return body

    async def order(self, seats: Sequence[str], *, flight_id: str = FL101) -> httpx.Response:
        return await self.api.post("/api/orders", json={"flightId": flight_id, "seats": list(seats)})

    async def change(self, order_id: str, *seats: str) -> httpx.Response:
        return await self.api.put(f"/api/orders/{order_id}/seats", json={"seats": list(seats)})

    async def pay(self, order_id: str, code: str = "99999") -> httpx.Response:
        return await self.api.post(f"/api/orders/{order_id}/pay", json={"paymentCode": code})

    async def cancel(self, order_id: str) -> httpx.Response:
        return await self.api.delete(f"/api/orders/{order_id}")

    async def get(self, path: str) -> dict[str, Any]:
        reply = await self.api.get(path)
        assert reply.status_code == 200, reply.text
        body: dict[str, Any] = reply.json()
        return body

    async def status(self, order_id: str) -> dict[str, Any]:
        return await self.get(f"/api/orders/{order_id}/status")

    async def outcome(self, order_id: str) -> dict[str, Any]:
        """Wait until the order has ended and return its status."""

        async def ended() -> dict[str, Any] | None:
            body = await self.status(order_id)
            return body if body["status"] in TERMINAL else None

        return await eventually(ended)

    async def seat(self, seat_id: str, *, flight_id: str = FL101) -> dict[str, Any]:
        flight = await self.get(f"/api/flights/{flight_id}")
        return next(seat for seat in flight["seatMap"]["seats"] if seat["id"] == seat_id)


@contextlib.asynccontextmanager
async def running_service(settings: Settings) -> AsyncIterator[Service]:
    """Run a worker and yield the API."""
    async with open_worker(settings) as running, running.worker, running_api(settings) as service:
        yield service


@contextlib.asynccontextmanager
async def running_api(settings: Settings) -> AsyncIterator[Service]:
    """Yield the API without a worker."""
    async with open_api(settings) as app, client_of(app) as client:
        yield Service(client)


async def eventually(question: Callable[[], Awaitable[T | None]], *, seconds: float = 20.0) -> T:
    """Repeat the query until its result is truthy, and return it."""
    async with asyncio.timeout(seconds):
        while not (answer := await question()):  # noqa: ASYNC110 - polls over HTTP
            await asyncio.sleep(0.02)
        return answer
