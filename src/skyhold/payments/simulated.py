"""The simulated gateway: it keeps its own books in its own table, with configured latency and failure rate.

`00000` is always declined and `99999` always approved, both at once; every other code takes the configured time and
fails, retryably, at the configured rate. A decision under a key is final.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from skyhold.domain.payments import PaymentCode
from skyhold.payments.gateway import ChargeResult, GatewayAnswer, GatewayError, StatementLine
from skyhold.postgresql.pools import Pool

ALWAYS_DECLINED = PaymentCode("00000")
ALWAYS_APPROVED = PaymentCode("99999")

_ASK = """
INSERT INTO gateway_statement (key, state, asked) VALUES ($1, 'asked', 1)
ON CONFLICT (key) DO UPDATE SET asked = gateway_statement.asked + 1
RETURNING state
"""

_CAPTURE = """
UPDATE gateway_statement
SET state = 'captured', amount_cents = $2, currency = $3, captures = captures + 1, updated_at = clock_timestamp()
WHERE key = $1 AND state = 'asked'
"""

_DECLINE = (
    "UPDATE gateway_statement SET state = 'declined', updated_at = clock_timestamp() WHERE key = $1 AND state = 'asked'"
)

_STATE = "SELECT state FROM gateway_statement WHERE key = $1"

_CLOSE = """
INSERT INTO gateway_statement (key, state) VALUES ($1, 'closed')
ON CONFLICT (key) DO UPDATE SET
    state = CASE WHEN gateway_statement.state IN ('asked', 'declined') THEN 'closed' ELSE gateway_statement.state END,
    updated_at = clock_timestamp()
RETURNING state
"""

_REFUND = """
UPDATE gateway_statement SET state = 'refunded', refunds = refunds + 1, updated_at = clock_timestamp()
WHERE key = $1 AND state = 'captured'
"""

_STATEMENT = """
SELECT key, state, amount_cents, captures, refunds FROM gateway_statement
WHERE (($1::uuid[] IS NULL AND captures > 0) OR key = ANY($1)) AND key > $2 ORDER BY key LIMIT $3
"""

_RESULTS = {"captured": ChargeResult.APPROVED, "declined": ChargeResult.DECLINED}


@dataclass(frozen=True)
class Behaviour:
    """Latency and failure rate of the gateway."""

    latency: tuple[timedelta, timedelta] = (timedelta(seconds=1), timedelta(seconds=8))
    failure_rate: float = 0.15

    def draw(self, code: PaymentCode) -> tuple[float, bool]:
        """Return the seconds that this charge takes, and whether it fails."""
        if code in (ALWAYS_DECLINED, ALWAYS_APPROVED):
            return 0.0, False
        shortest, longest = (bound.total_seconds() for bound in self.latency)
        return random.uniform(shortest, longest), random.random() < self.failure_rate


class SimulatedGateway:
    """A gateway with books of its own; a charge continues when the caller has stopped waiting."""

    def __init__(self, pool: Pool, behaviour: Behaviour) -> None:
        self.pool = pool
        self.behaviour = behaviour
        self._under_way: set[asyncio.Task[GatewayAnswer]] = set()

    async def charge(self, key: uuid.UUID, amount_cents: int, currency: str, code: PaymentCode) -> GatewayAnswer:
        """Charge once under this key, after the configured latency, or fail retryably.

        Raises:
            GatewayError: a simulated failure; this call has captured nothing.
        """
        task = asyncio.create_task(self._charge(key, amount_cents, currency, code))
        self._under_way.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    async def close(self, key: uuid.UUID) -> GatewayAnswer:
        """Refuse every charge under the key from now on, unless it has a capture."""
        state = await self.pool.fetchval(_CLOSE, key)
        return _answer(key, ChargeResult.APPROVED if state == "captured" else ChargeResult.CLOSED)

    async def refund(self, key: uuid.UUID) -> None:
        """Refund a capture, once."""
        await self.pool.execute(_REFUND, key)

    async def statement(
        self, keys: Sequence[uuid.UUID] | None = None, *, after: uuid.UUID | None = None, limit: int = 1000
    ) -> list[StatementLine]:
        """Return the entries of these keys, or of all with a capture, sorted by key, after the key `after`."""
        rows = await self.pool.fetch(
            _STATEMENT, list(keys) if keys is not None else None, after or uuid.UUID(int=0), limit
        )
        return [StatementLine(**dict(row)) for row in rows]

    async def stop(self) -> None:
        """Cancel the charges under way, as if the gateway went down."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _charge(self, key: uuid.UUID, amount_cents: int, currency: str, code: PaymentCode) -> GatewayAnswer:
        state = await self.pool.fetchval(_ASK, key)
        if state == "asked":
            seconds, fails = self.behaviour.draw(code)
            await asyncio.sleep(seconds)
            if fails:
                raise GatewayError("simulated gateway failure")
            if code == ALWAYS_DECLINED:
                await self.pool.execute(_DECLINE, key)
            else:
                await self.pool.execute(_CAPTURE, key, amount_cents, currency)
            state = await self.pool.fetchval(_STATE, key)
        return _answer(key, _RESULTS.get(str(state), ChargeResult.CLOSED))

    def _finished(self, task: asyncio.Task[GatewayAnswer]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # Retrieved, so that asyncio does not log a failure when no caller waits any more.


def _answer(key: uuid.UUID, result: ChargeResult) -> GatewayAnswer:
    return GatewayAnswer(result, reference=f"sim-{key.hex[:12]}" if result is ChargeResult.APPROVED else None)
