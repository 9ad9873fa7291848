"""The simulated gateway fulfils the contract that the ledger relies on: one capture a key, and keys that close."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from datetime import timedelta

import pytest

from skyhold.domain.payments import PaymentCode
from skyhold.payments.gateway import ChargeResult, GatewayError, StatementLine
from skyhold.payments.simulated import ALWAYS_APPROVED, ALWAYS_DECLINED, Behaviour, SimulatedGateway
from skyhold.postgresql.pools import Pool
from support.bookings import until

CODE = PaymentCode("12345")
AT_ONCE = (timedelta(0), timedelta(0))


def a_gateway(
    pool: Pool, *, latency: tuple[timedelta, timedelta] = AT_ONCE, failure_rate: float = 0
) -> SimulatedGateway:
    return SimulatedGateway(pool, Behaviour(latency, failure_rate))


async def charge(gateway: SimulatedGateway, key: uuid.UUID, code: PaymentCode = CODE, cents: int = 700) -> ChargeResult:
    async with asyncio.timeout(10):
        return (await gateway.charge(key, cents, "USD", code)).result


async def close(gateway: SimulatedGateway, key: uuid.UUID) -> ChargeResult:
    return (await gateway.close(key)).result


async def line_of(gateway: SimulatedGateway, key: uuid.UUID) -> StatementLine:
    (line,) = await gateway.statement([key])
    return line


async def test_a_charge_is_taken_once_however_often_and_however_many_at_once_ask_for_it(shared_pool: Pool) -> None:
    gateway, key = a_gateway(shared_pool), uuid.uuid4()
    results = [*await asyncio.gather(*(charge(gateway, key) for _ in range(8))), await charge(gateway, key)]
    assert set(results) == {ChargeResult.APPROVED}
    assert await line_of(gateway, key) == StatementLine(key, "captured", 700, captures=1, refunds=0)


@pytest.mark.parametrize(
    ("code", "result"), [(ALWAYS_APPROVED, ChargeResult.APPROVED), (ALWAYS_DECLINED, ChargeResult.DECLINED)]
)
async def test_the_two_codes_of_the_contract_are_decided_at_once_whatever_the_dice_say(
    shared_pool: Pool, code: PaymentCode, result: ChargeResult
) -> None:
    gateway = a_gateway(shared_pool, latency=(timedelta(minutes=1), timedelta(minutes=1)), failure_rate=1)
    started = time.monotonic()
    for _ in range(5):
        assert await charge(gateway, uuid.uuid4(), code) is result
    assert time.monotonic() - started < 5


async def test_what_was_declined_under_a_key_stays_declined(shared_pool: Pool) -> None:
    gateway, key = a_gateway(shared_pool), uuid.uuid4()
    assert await charge(gateway, key, ALWAYS_DECLINED) is ChargeResult.DECLINED
    assert await charge(gateway, key, ALWAYS_APPROVED) is ChargeResult.DECLINED
    assert (await line_of(gateway, key)).captures == 0


async def test_a_failure_rate_of_one_always_fails_and_captures_nothing(shared_pool: Pool) -> None:
    gateway, key = a_gateway(shared_pool, failure_rate=1), uuid.uuid4()
    for _ in range(5):
        with pytest.raises(GatewayError):
            await charge(gateway, key)
    assert await line_of(gateway, key) == StatementLine(key, "asked", 0, captures=0, refunds=0)
    assert await charge(a_gateway(shared_pool), key) is ChargeResult.APPROVED, "a failure is no decision"


async def test_a_failure_rate_of_zero_never_fails(shared_pool: Pool) -> None:
    gateway = a_gateway(shared_pool)
    results = await asyncio.gather(*(charge(gateway, uuid.uuid4()) for _ in range(30)))
    assert set(results) == {ChargeResult.APPROVED}


def test_the_dice_fall_within_their_bounds_and_as_often_as_they_should() -> None:
    behaviour = Behaviour((timedelta(seconds=1), timedelta(seconds=8)), 0.15)
    draws = [behaviour.draw(CODE) for _ in range(4000)]
    assert all(1 <= seconds <= 8 for seconds, _ in draws)
    assert min(draws)[0] < 2
    assert max(draws)[0] > 7
    assert 0.10 < Counter(fails for _, fails in draws)[True] / 4000 < 0.20


async def test_a_closed_key_refuses_every_charge(shared_pool: Pool) -> None:
    gateway, key = a_gateway(shared_pool), uuid.uuid4()
    assert await close(gateway, key) is ChargeResult.CLOSED
    for code in (CODE, ALWAYS_APPROVED, ALWAYS_DECLINED):
        assert await charge(gateway, key, code) is ChargeResult.CLOSED
    assert await close(gateway, key) is ChargeResult.CLOSED, "closing twice is closing once"
    assert await line_of(gateway, key) == StatementLine(key, "closed", 0, captures=0, refunds=0)


async def test_a_declined_key_is_closed_too(shared_pool: Pool) -> None:
    gateway, key = a_gateway(shared_pool), uuid.uuid4()
    await charge(gateway, key, ALWAYS_DECLINED)
    assert await close(gateway, key) is ChargeResult.CLOSED
    assert await charge(gateway, key, ALWAYS_APPROVED) is ChargeResult.CLOSED


async def test_closing_after_a_capture_shows_it_and_changes_nothing(shared_pool: Pool) -> None:
    gateway, key = a_gateway(shared_pool), uuid.uuid4()
    await charge(gateway, key)
    assert await close(gateway, key) is ChargeResult.APPROVED
    assert await line_of(gateway, key) == StatementLine(key, "captured", 700, captures=1, refunds=0)


async def test_a_charge_under_way_when_its_key_closes_captures_nothing(shared_pool: Pool) -> None:
    gateway, key = a_gateway(shared_pool, latency=(timedelta(seconds=2), timedelta(seconds=2))), uuid.uuid4()
    asked = asyncio.create_task(charge(gateway, key))
    await until(lambda: _state(shared_pool, key), what="the gateway to be asked")
    assert await close(gateway, key) is ChargeResult.CLOSED
    assert await asked is ChargeResult.CLOSED
    assert (await line_of(gateway, key)).captures == 0


async def test_a_gateway_goes_on_when_its_caller_gave_up_and_the_capture_is_found_later(shared_pool: Pool) -> None:
    gateway, key = a_gateway(shared_pool, latency=(timedelta(seconds=0.2), timedelta(seconds=0.2))), uuid.uuid4()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(gateway.charge(key, 700, "USD", CODE), 0.05)

    async def captured() -> bool:
        return await _state(shared_pool, key) == "captured"

    await until(captured, what="the late capture")
    assert await charge(gateway, key) is ChargeResult.APPROVED
    assert await close(gateway, key) is ChargeResult.APPROVED
    assert (await line_of(gateway, key)).captures == 1


async def test_a_gateway_that_stops_forgets_what_is_under_way(shared_pool: Pool) -> None:
    gateway, key = a_gateway(shared_pool, latency=(timedelta(minutes=1), timedelta(minutes=1))), uuid.uuid4()
    asked = asyncio.create_task(charge(gateway, key))
    await until(lambda: _state(shared_pool, key), what="the gateway to be asked")
    await gateway.stop()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert (await line_of(gateway, key)).captures == 0


async def test_money_is_given_back_once_and_its_key_never_approves_again(shared_pool: Pool) -> None:
    gateway, key = a_gateway(shared_pool), uuid.uuid4()
    await charge(gateway, key)
    await asyncio.gather(*(gateway.refund(key) for _ in range(4)))
    assert await line_of(gateway, key) == StatementLine(key, "refunded", 700, captures=1, refunds=1)
    assert await charge(gateway, key, ALWAYS_APPROVED) is ChargeResult.CLOSED
    assert await close(gateway, key) is ChargeResult.CLOSED


async def test_nothing_is_given_back_that_was_not_taken(shared_pool: Pool) -> None:
    gateway, key = a_gateway(shared_pool), uuid.uuid4()
    await gateway.refund(key)
    assert await gateway.statement([key]) == []
    await gateway.close(key)
    await gateway.refund(key)
    assert (await line_of(gateway, key)).refunds == 0


async def test_the_statement_tells_of_all_that_moved_money_within_its_limit(pool: Pool) -> None:
    gateway = a_gateway(pool)
    keys = [uuid.uuid4() for _ in range(3)]
    for key in keys:
        await charge(gateway, key)
    await gateway.refund(keys[0])
    await gateway.close(uuid.uuid4())
    await charge(gateway, uuid.uuid4(), ALWAYS_DECLINED)
    assert {line.key for line in await gateway.statement()} == set(keys)
    assert len(await gateway.statement(limit=2)) == 2
    assert await gateway.statement([]) == []


async def _state(pool: Pool, key: uuid.UUID) -> str | None:
    state: str | None = await pool.fetchval("SELECT state FROM gateway_statement WHERE key = $1", key)
    return state
