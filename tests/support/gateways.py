"""Gateways whose replies a test determines, over the simulated gateway's real books."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from typing import TypeVar

from skyhold.domain.payments import PaymentCode
from skyhold.payments.gateway import ChargeResult, GatewayAnswer, GatewayError
from skyhold.payments.simulated import Behaviour, SimulatedGateway
from skyhold.postgresql.pools import Pool
from support.fault_injection import CrashedError

T = TypeVar("T")


class Act(Enum):
    """The course of one charge request."""

    APPROVE = auto()
    FAIL = auto()  # before any capture
    FAIL_AFTER_CAPTURE = auto()
    HANG = auto()  # never answers
    ANSWER_LATE = auto()  # captures after `late` seconds, without an answer
    WAIT = auto()  # until the test lets it continue
    PEND = auto()  # not decided yet, with a reference


PENDING = GatewayAnswer(ChargeResult.PENDING, reference="of-the-provider")


@dataclass(frozen=True)
class Asking:
    key: uuid.UUID
    at: float


class ScriptedGateway(SimulatedGateway):
    """Follows the script, one act for each request, then repeats the last act; 00000 and 99999 work as usual."""

    def __init__(self, pool: Pool, script: Iterable[Act] = (Act.APPROVE,), *, late: float = 0.0) -> None:
        super().__init__(pool, Behaviour((timedelta(0), timedelta(0)), 0.0))
        self.script = list(script)
        self.late = late
        self.askings: list[Asking] = []
        self.go_on = asyncio.Event()
        self.is_asked = asyncio.Event()
        self.may_settle = asyncio.Event()  # closing and refunding wait for it
        self.may_settle.set()
        self.is_settling = asyncio.Event()
        self.close_fails = False
        self.pending_closes = 0

    async def close(self, key: uuid.UUID) -> GatewayAnswer:
        self.is_settling.set()
        await self.may_settle.wait()
        if self.close_fails:
            raise GatewayError("as the test says")
        if self.pending_closes:
            self.pending_closes -= 1
            return PENDING
        return await super().close(key)

    async def refund(self, key: uuid.UUID) -> None:
        self.is_settling.set()
        await self.may_settle.wait()
        await super().refund(key)

    async def _charge(self, key: uuid.UUID, amount_cents: int, currency: str, code: PaymentCode) -> GatewayAnswer:
        self.askings.append(Asking(key, asyncio.get_running_loop().time()))
        self.is_asked.set()
        act = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        match act:
            case Act.FAIL:
                raise GatewayError("as the script says")
            case Act.FAIL_AFTER_CAPTURE:
                await super()._charge(key, amount_cents, currency, code)
                raise GatewayError("as the script says, after the capture")
            case Act.HANG:
                await asyncio.Event().wait()
            case Act.ANSWER_LATE:
                await asyncio.sleep(self.late)
            case Act.WAIT:
                await self.go_on.wait()
            case Act.PEND:
                return PENDING
            case Act.APPROVE:
                pass
        return await super()._charge(key, amount_cents, currency, code)


class Chance(Enum):
    """The course of one request to the gateway; a crash is the worker's, before or after the gateway got it."""

    ANSWER = auto()
    FAIL = auto()
    LOSE_REPLY = auto()
    TIME_OUT = auto()
    CRASH_BEFORE = auto()
    CRASH_AFTER = auto()
    WAIT = auto()


class ChanceGateway(SimulatedGateway):
    """The simulated gateway with its real books, which treats a request by the chance set before it."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool, Behaviour())
        self.chance = Chance.ANSWER
        self.go_on = asyncio.Event()
        self.is_asked = asyncio.Event()

    async def charge(self, key: uuid.UUID, amount_cents: int, currency: str, code: PaymentCode) -> GatewayAnswer:
        whole = super().charge
        return await self._by_chance(lambda: whole(key, amount_cents, currency, code))

    async def close(self, key: uuid.UUID) -> GatewayAnswer:
        whole = super().close
        return await self._by_chance(lambda: whole(key))

    async def refund(self, key: uuid.UUID) -> None:
        whole = super().refund
        await self._by_chance(lambda: whole(key))

    async def _by_chance(self, work: Callable[[], Awaitable[T]]) -> T:
        chance, go_on = self.chance, self.go_on
        self.is_asked.set()
        match chance:
            case Chance.CRASH_BEFORE:
                raise CrashedError
            case Chance.FAIL:
                raise GatewayError
            case Chance.TIME_OUT:
                await asyncio.Event().wait()
            case Chance.WAIT:
                await go_on.wait()
        result = await work()
        if chance is Chance.CRASH_AFTER:
            raise CrashedError
        if chance is Chance.LOSE_REPLY:
            raise GatewayError
        return result
