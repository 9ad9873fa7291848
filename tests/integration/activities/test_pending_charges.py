"""A gateway that has not decided yet: asked again under the same key, and never taken for closed."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from skyhold.activities import payments
from skyhold.domain.orders import Order, Policy
from skyhold.messages import ClosePayment, Outcome, ValidatePayment
from skyhold.payments.gateway import StatementLine
from skyhold.payments.simulated import ALWAYS_APPROVED
from skyhold.postgresql.pools import Pool
from skyhold.stores.seat_locks import SeatLocks
from support.activity_runner import ActivityRunner, a_flight, next_step
from support.gateways import PENDING, Act, ScriptedGateway


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payments, "PENDING_PAUSE_SECONDS", 0.01)


def _desk(desk: ActivityRunner, script: list[Act], **policy: Any) -> tuple[ActivityRunner, ScriptedGateway]:
    gateway = ScriptedGateway(desk.pool, script)
    locks: SeatLocks = desk.locks
    return ActivityRunner(desk.pool, locks, gateway, Policy(**policy)), gateway


async def _paying(desk: ActivityRunner) -> Order:
    return await desk.begin_payment(await desk.hold(await a_flight(desk.pool), ["1A"]))


async def _payment(pool: Pool, order: Order) -> tuple[str, str | None]:
    row = await pool.fetchrow("SELECT state, provider_reference FROM payments WHERE order_id = $1", order.id)
    assert row is not None
    return row["state"], row["provider_reference"]


async def test_a_pending_charge_is_asked_for_again_under_its_key_until_it_is_decided(desk: ActivityRunner) -> None:
    desk, gateway = _desk(desk, [Act.PEND, Act.PEND, Act.APPROVE])
    order = await _paying(desk)

    answer = await desk.ask(ValidatePayment(next_step(order), ALWAYS_APPROVED))

    assert answer.outcome is Outcome.DONE
    assert len(gateway.askings) == 3
    assert len({asking.key for asking in gateway.askings}) == 1
    assert await desk.pool.fetchval("SELECT payment_attempts FROM orders WHERE id = $1", order.id) == 1
    assert await _payment(desk.pool, order) == ("captured", PENDING.reference), "the first reference stays"


async def test_a_charge_that_stays_pending_is_a_timeout_of_its_attempt(desk: ActivityRunner) -> None:
    desk, _ = _desk(desk, [Act.PEND], payment_limit_seconds=0.2, payment_attempts=2)
    order = await _paying(desk)
    ask = ValidatePayment(next_step(order), ALWAYS_APPROVED)

    with pytest.raises(ApplicationError, match="payment attempt 1: timeout"):
        await desk.ask(ask)
    answer = await desk.ask(ask)

    assert (answer.outcome, answer.refusal and answer.refusal.error) == (Outcome.REFUSED, "PaymentFailed")
    assert await _payment(desk.pool, order) == ("open", PENDING.reference)


async def test_a_pending_key_is_not_closed(desk: ActivityRunner) -> None:
    desk, gateway = _desk(desk, [Act.PEND])
    order = await _paying(desk)
    gateway.pending_closes = 2

    for _ in range(2):
        with pytest.raises(ApplicationError, match="pending"):
            await desk.ask(ClosePayment(next_step(order)))
        assert await desk.pool.fetchval("SELECT count(*) FROM payments WHERE order_id = $1", order.id) == 0
    answer = await desk.ask(ClosePayment(next_step(order)))

    assert answer.outcome is Outcome.DONE
    assert await _payment(desk.pool, order) == ("closed", None)


async def test_a_capture_has_the_reference_of_its_provider(desk: ActivityRunner) -> None:
    order = await _paying(desk)
    order = await desk.capture(order)
    key: uuid.UUID = await desk.pool.fetchval("SELECT payment_key FROM orders WHERE id = $1", order.id)
    lines: list[StatementLine] = await desk.gateway.statement([key])
    assert [line.state for line in lines] == ["captured"]
    assert await _payment(desk.pool, order) == ("captured", f"sim-{key.hex[:12]}")
