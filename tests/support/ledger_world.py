"""The ledger under a random walk: activities over real stores on a loop of their own, with a random gateway."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from redis.asyncio import Redis
from temporalio.exceptions import ApplicationError

from skyhold.audit.money import find_money
from skyhold.domain.orders import Policy
from skyhold.domain.payments import PaymentCode
from skyhold.domain.seats import keys_of
from skyhold.messages import Answer, RefundPayment
from skyhold.payments.gateway import GatewayError
from skyhold.postgresql.pools import Pool, open_pool
from skyhold.queries.audit import AuditQueries
from skyhold.queries.database import Database
from skyhold.stores.seat_locks import SeatLocks
from support.activity_runner import CHAIN, ActivityRunner, StepAsk, a_flight
from support.fault_injection import CrashedError
from support.gateways import Chance, ChanceGateway
from support.ledger_model import BROKEN, MAX_ATTEMPTS, MAX_CHANGES, MAX_HOLDS, MAX_SEATS, OPEN, ModelOrder, Reply
from support.patience import patient_redis

GATEWAY_TIMEOUT_SECONDS = 3600.0
"""The gateway's timeout for an attempt: long, because a stopped run must not time out."""

POLICY = Policy(
    max_seats=MAX_SEATS,
    max_holds=MAX_HOLDS,
    max_changes=MAX_CHANGES,
    payment_limit_seconds=GATEWAY_TIMEOUT_SECONDS,
    payment_attempts=MAX_ATTEMPTS,
)


@dataclass(frozen=True)
class Run:
    """One run of an activity: its answer, or that it broke."""

    reply: Reply | None  # none: it was cut off
    answer: Answer | None = None
    told_seats: frozenset[str] = frozenset()


@dataclass
class StoppedRun:
    """A run that is stopped before the gateway until the test continues it."""

    ask: StepAsk
    go_on: asyncio.Event
    task: asyncio.Task[Run]


_WIPE = """
SET LOCAL session_replication_role = replica;
DELETE FROM order_events; DELETE FROM payment_attempts; DELETE FROM payments; DELETE FROM order_seats;
DELETE FROM gateway_statement; DELETE FROM seats WHERE flight_id = '{flight}'; DELETE FROM orders;
INSERT INTO seats (flight_id, seat_id, row_number, letter, cabin, price_cents, status)
SELECT '{flight}', seat, left(seat, 1)::int, right(seat, 1), 'economy', 100,
       CASE WHEN seat = ANY('{blocked}') THEN 'blocked' ELSE 'available' END FROM unnest('{seats}'::text[]) AS seat
"""

_ORDERS = """
SELECT o.id, o.chain, o.step, o.status, o.version, o.changes, o.total_price_cents, o.failure_code, p.state,
       coalesce(p.captured_cents, 0) AS captured, coalesce(p.refunded_cents, 0) AS refunded, o.payment_attempts,
       extract(epoch FROM o.expires_at - clock_timestamp())::float8 AS left_seconds,
       coalesce(g.state, 'none') AS gateway, coalesce(g.captures * g.amount_cents, 0) AS charged,
       coalesce(g.refunds, 0) AS refunds,
       (SELECT coalesce(jsonb_object_agg(seat_id, price_cents), '{}') FROM order_seats WHERE order_id = o.id) AS prices,
       ARRAY(SELECT verdict FROM payment_attempts WHERE order_id = o.id AND verdict IS NOT NULL ORDER BY attempt) AS said
FROM orders o LEFT JOIN payments p ON p.order_id = o.id LEFT JOIN gateway_statement g ON g.key = o.payment_key
"""

_SEATS = "SELECT seat_id, status, order_id FROM seats WHERE flight_id = $1"

_LIMIT = (
    """UPDATE orders SET policy = policy || jsonb_build_object('payment_limit_seconds', $2::float8) WHERE id = $1"""
)


class LedgerWorld:
    """A flight, a departed flight, activities, and manual SQL."""

    def __init__(self, database_url: str, redis_url: str, seats: tuple[str, ...], blocked: tuple[str, ...]) -> None:
        self.stack = ExitStack()
        self.runner = self.stack.enter_context(asyncio.Runner(loop_factory=asyncio.new_event_loop))
        self.run = self.runner.run
        self.pool, self.redis = self.run(self._open(database_url, redis_url))
        self.gateway = ChanceGateway(self.pool)
        self.desk = ActivityRunner(self.pool, SeatLocks(self.redis), self.gateway, POLICY)
        self.queries = AuditQueries(Database(self.pool))
        self.flight = self.run(a_flight(self.pool, ()))
        self.departed = self.run(a_flight(self.pool, (), departs_in_days=-1))
        self.wipe = _WIPE.format(
            flight=self.flight, seats="{" + ",".join((*seats, *blocked)) + "}", blocked="{" + ",".join(blocked) + "}"
        )

    async def _open(self, database_url: str, redis_url: str) -> tuple[Pool, Redis]:
        return await open_pool(database_url, application="tests", size=8), patient_redis(redis_url)

    def close(self) -> None:
        self.pool.terminate()
        self.run(self.redis.aclose())
        self.stack.close()

    async def begin(self) -> None:
        """Restore the flight to its state before the first booking."""
        await self.gateway.stop()
        await self.redis.flushall()
        self.desk.published.clear()
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute(self.wipe)

    async def do(self, ask: StepAsk, chance: Chance = Chance.ANSWER) -> Run:
        """Run an activity once, whatever its result."""
        self.gateway.chance = chance
        self.desk.published.clear()
        try:
            answer = await self.desk.ask(ask)
        except (CrashedError, GatewayError):
            return Run(None)
        except ApplicationError as again:
            assert again.type == "PaymentAttemptFailed"
            return Run(OPEN)
        except RuntimeError:
            return Run(BROKEN)
        changed = {seat.key.seat_id for change in self.desk.published for seat in change.seats or ()}
        refusal = answer.refusal.error if answer.refusal else None
        return Run(Reply(str(answer.outcome), refusal), answer, frozenset(changed))

    async def time_out(self, ask: StepAsk) -> Run:
        """Run an activity whose gateway does not answer, with a short timeout."""
        await self.pool.execute(_LIMIT, ask.step.order_id, 0.001)
        run = await self.do(ask, Chance.TIME_OUT)
        await self.pool.execute(_LIMIT, ask.step.order_id, GATEWAY_TIMEOUT_SECONDS)
        return run

    async def stop_before_the_gateway(self, ask: StepAsk) -> StoppedRun | Run:
        """Start a run that stops before the gateway; a run that does not reach the gateway is completed."""
        go_on = self.gateway.go_on = asyncio.Event()
        asked = self.gateway.is_asked = asyncio.Event()
        task = asyncio.create_task(self.do(ask, Chance.WAIT))
        arrival = asyncio.create_task(asked.wait())
        await asyncio.wait({task, arrival}, return_when=asyncio.FIRST_COMPLETED)
        arrival.cancel()
        return await task if task.done() else StoppedRun(ask, go_on, task)

    async def go_on(self, stopped: StoppedRun) -> Run:
        stopped.go_on.set()
        return await stopped.task

    async def give_up(self, stopped: list[StoppedRun]) -> None:
        for run in stopped:
            run.task.cancel()
        await asyncio.gather(*(run.task for run in stopped), return_exceptions=True)

    async def charge_late(self, order_id: str, code: PaymentCode) -> None:
        """Let the gateway carry out the charge of a run that no longer waits for it."""
        row = await self.pool.fetchrow("SELECT payment_key, total_price_cents FROM orders WHERE id = $1", order_id)
        assert row is not None
        self.gateway.chance = Chance.ANSWER
        await self.gateway.charge(row["payment_key"], row["total_price_cents"], "USD", code)

    async def refund(self, order_id: str, chance: Chance) -> None:
        self.gateway.chance = chance
        try:
            await self.desk.run(RefundPayment(order_id))
        except (CrashedError, GatewayError):
            return

    async def move_deadline(self, order_id: str, seconds: float) -> None:
        await self.pool.execute(
            "UPDATE orders SET expires_at = clock_timestamp() + make_interval(secs => $2) WHERE id = $1",
            order_id,
            seconds,
        )

    async def rob(self, seat: str) -> None:
        await self.pool.execute(
            """UPDATE seats SET status = 'available', order_id = NULL, held_until = NULL, version = version + 1
               WHERE flight_id = $1 AND seat_id = $2""",
            self.flight,
            seat,
        )

    async def reprice(self, seat: str, cents: int) -> None:
        await self.pool.execute(
            "UPDATE seats SET price_cents = $3, version = version + 1 WHERE flight_id = $1 AND seat_id = $2",
            self.flight,
            seat,
            cents,
        )

    async def wipe_locks(self, *, lies: tuple[str, ...]) -> None:
        """Wipe Redis, and add locks of an order that does not exist."""
        await self.redis.flushall()
        await self.desk.locks.acquire(keys_of(self.flight, lies), "a stranger", self.desk.policy.hold_time)

    async def orders(self) -> list[dict[str, Any]]:
        return [dict(row) for row in await self.pool.fetch(_ORDERS)]

    async def seats(self) -> dict[str, tuple[str, str | None]]:
        rows = await self.pool.fetch(_SEATS, self.flight)
        return {row["seat_id"]: (row["status"], row["order_id"]) for row in rows}

    async def findings(self) -> list[tuple[str, str | None, str]]:
        """Return the findings of the audit's own queries, by invariant, order and subject; those of money by key."""
        reads = {
            "I1 seats": self.queries.seats_without_rightful_owner,
            "I1 orders": self.queries.orders_without_their_seats,
            "I2": self.queries.seats_of_ended_orders,
            "I4": self.queries.wrong_totals,
            "I7": self.queries.broken_logs,
        }
        found = [(name, it.order_id, it.detail) for name, read in reads.items() for it in await read()]
        return found + [("I3", it.order_id, it.detail) for it in await find_money(self.queries, self.gateway)]


def elsewhere(ask: StepAsk, *, number: int | None = None, chain: str | None = None) -> StepAsk:
    """Return the request with another step number or another chain."""
    step = replace(ask.step, number=number or ask.step.number, chain=chain or ask.step.chain)
    return replace(ask, step=step)


def row_of(order: ModelOrder) -> dict[str, Any]:
    """Return the row that `LedgerWorld.orders` must read of an order."""
    captured = order.total if order.payment in {"captured", "refund_due", "refunded"} else 0
    return {
        "chain": CHAIN,
        "step": order.step,
        "status": order.status,
        "version": order.version,
        "changes": order.changes,
        "total_price_cents": order.total,
        "failure_code": order.failure,
        "state": None if order.payment == "none" else order.payment,
        "captured": captured,
        "refunded": captured if order.payment == "refunded" else 0,
        "payment_attempts": len(order.verdicts),
        "gateway": order.gateway,
        "charged": order.total * order.captures,
        "refunds": int(order.gateway == "refunded"),
        "prices": order.prices,
        "said": order.verdicts,
    }
