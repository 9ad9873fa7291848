"""Fault injection: stores, locks and a gateway that cut a run off at any of its calls, by crash, cancel or pause."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import Any, TypeVar, cast

from redis.asyncio import Redis

from skyhold.domain.payments import PaymentCode
from skyhold.domain.seats import LockAttempt, SeatKey
from skyhold.payments.gateway import GatewayAnswer, PaymentGateway, StatementLine
from skyhold.postgresql.pools import Pool
from skyhold.postgresql.sessions import Connection
from skyhold.stores.seat_locks import SeatLocks

T = TypeVar("T")


class Cut(Enum):
    """The fault at the call where a run is cut off.

    A crash comes after the call took effect and before its result is used, which equals a crash before the next call.
    A cancel arrives during the call, as Temporal's does, or after it. A pause is a process that is stopped and
    continues later.
    """

    CRASH_AFTER = "crash after"
    CANCEL_DURING = "cancel during"
    CANCEL_AFTER = "cancel after"
    PAUSE_AFTER = "pause after"


class CrashedError(Exception):
    """The simulated death of the process."""


@dataclass
class Wire:
    """Counts the calls of a run, and injects the fault at the one with this number."""

    at: int
    cut: Cut
    trail: list[str] = field(default_factory=list)
    has_cut: bool = False
    is_in_transaction: bool = False
    paused: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def around(self, name: str, call: Callable[[], Awaitable[T]]) -> T:
        is_here = len(self.trail) == self.at
        self.trail.append(name)
        if not is_here:
            return await call()
        if self.cut is Cut.CANCEL_DURING:
            self._cancel_soon()
        result = await call()
        if self.cut is Cut.CRASH_AFTER:
            self.has_cut = True
            raise CrashedError(name)
        if self.cut is Cut.CANCEL_AFTER:
            self._cancel_soon()
            await asyncio.sleep(60)
        if self.cut is Cut.PAUSE_AFTER and not self.is_in_transaction:
            self.has_cut = True
            self.paused.set()
            await self.go_on.wait()
        return result

    def _cancel_soon(self) -> None:
        """Cancel the running task when it waits next, as a cancel from outside does."""
        self.has_cut = True
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_soon(task.cancel)


class CutPool:
    """A pool whose calls go through the wire."""

    def __init__(self, pool: Pool, wire: Wire) -> None:
        self._pool = pool
        self._wire = wire

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[CutConnection]:
        async with self._pool.acquire() as connection:
            yield CutConnection(connection, self._wire)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[CutConnection]:
        async with self.acquire() as connection, connection.transaction():
            yield connection

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        return _over(self._wire, self._pool, name)


class CutConnection:
    """A connection whose statements go through the wire, begin and commit among them."""

    def __init__(self, connection: Connection, wire: Wire) -> None:
        self._connection = connection
        self._wire = wire

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        return _over(self._wire, self._connection, name)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        transaction = self._connection.transaction()
        self._wire.is_in_transaction = True
        await self._wire.around("begin", transaction.__aenter__)
        try:
            yield
        except BaseException:
            await transaction.__aexit__(*sys.exc_info())
            raise
        await self._wire.around("commit", lambda: self._commit(transaction))

    async def _commit(self, transaction: AbstractAsyncContextManager[Any]) -> None:
        await transaction.__aexit__(None, None, None)
        self._wire.is_in_transaction = False


class CutLocks(SeatLocks):
    """Seat locks whose calls go through the wire."""

    def __init__(self, redis: Redis, wire: Wire) -> None:
        super().__init__(redis)
        self._wire = wire

    async def acquire(self, seats: Iterable[SeatKey], order_id: str, ttl: timedelta) -> LockAttempt:
        whole = super().acquire
        return await self._wire.around("acquire locks", lambda: whole(seats, order_id, ttl))

    async def assign(self, seats: Iterable[SeatKey], order_id: str, ttl: timedelta, *, others: Iterable[str]) -> None:
        whole = super().assign
        await self._wire.around("assign locks", lambda: whole(seats, order_id, ttl, others=others))

    async def extend(self, seats: Iterable[SeatKey], order_id: str, ttl: timedelta) -> None:
        whole = super().extend
        await self._wire.around("extend locks", lambda: whole(seats, order_id, ttl))

    async def release(self, seats: Iterable[SeatKey], order_id: str) -> None:
        whole = super().release
        await self._wire.around("release locks", lambda: whole(seats, order_id))


class CutGateway:
    """A gateway whose calls go through the wire."""

    def __init__(self, gateway: PaymentGateway, wire: Wire) -> None:
        self._gateway = gateway
        self._wire = wire

    async def charge(self, key: uuid.UUID, amount_cents: int, currency: str, code: PaymentCode) -> GatewayAnswer:
        return await self._wire.around("charge", lambda: self._gateway.charge(key, amount_cents, currency, code))

    async def close(self, key: uuid.UUID) -> GatewayAnswer:
        return await self._wire.around("close key", lambda: self._gateway.close(key))

    async def refund(self, key: uuid.UUID) -> None:
        await self._wire.around("refund", lambda: self._gateway.refund(key))

    async def statement(self, keys: Sequence[uuid.UUID] | None = None, **more: Any) -> list[StatementLine]:
        return await self._wire.around("statement", lambda: self._gateway.statement(keys, **more))


def as_pool(pool: CutPool) -> Pool:
    return cast("Pool", pool)


def _over(wire: Wire, target: object, name: str) -> Callable[..., Awaitable[Any]]:
    method = getattr(target, name)

    def call(*args: Any) -> Awaitable[Any]:
        return wire.around(f"{name} {' '.join(str(args[0]).split())[:60]}", lambda: method(*args))

    return call
