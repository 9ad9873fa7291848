"""The fence through which every change of an order goes: each command is judged once, as one step of its own chain.

`Ledger.change` is the fence (docs/rules.md#the-fence). It locks the order's row, compares chain and step, lets a rule
decide, writes order and answer together, and returns the order as the ledger now has it. The rules for seats, payments
and the ends of an order are in the stores beside it.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Protocol

from skyhold.domain.errors import OrderIdTaken, SkyholdError
from skyhold.domain.orders import FailureCode, Order, OrderStatus, Policy
from skyhold.domain.payments import PaymentState, PaymentVerdict
from skyhold.domain.seats import SeatKey, SeatState, SeatStatus, sort_seats
from skyhold.messages import Answer, Outcome, Refusal, Step, fingerprint
from skyhold.postgresql.errors import ConstraintViolation
from skyhold.postgresql.order_statuses import IS_OPEN
from skyhold.postgresql.pools import Pool
from skyhold.postgresql.sessions import Connection, Row
from skyhold.stores.constraints import meaning_of

_ORDER = """
    o.*, coalesce(p.state, 'open') AS payment_state,
    extract(epoch FROM o.expires_at - clock_timestamp())::float8 AS left_seconds,
    ARRAY(SELECT seat_id FROM order_seats WHERE order_id = o.id) AS seats,
    (SELECT verdict FROM payment_attempts WHERE order_id = o.id AND verdict IS NOT NULL
     ORDER BY attempt DESC LIMIT 1) AS last_verdict
"""

# The clock is read above the row lock, so its time is after the wait for the lock, not before.
_LOCK_ORDER = """
WITH locked AS MATERIALIZED (SELECT * FROM orders WHERE id = $1 FOR UPDATE)
SELECT locked.*, departs_at, clock_timestamp() AS now FROM locked LEFT JOIN flights ON flights.id = flight_id
"""

_INSERT_ORDER = """
INSERT INTO orders (id, workflow_id, chain, namespace_id, flight_id, currency, status, policy, guest_hash)
VALUES ($1, $2, $3, $4, (SELECT id FROM flights WHERE id = $5), (SELECT currency FROM flights WHERE id = $5),
        'CREATED', $6, $7)
ON CONFLICT (id) DO NOTHING
RETURNING *, (SELECT departs_at FROM flights WHERE id = flight_id) AS departs_at, clock_timestamp() AS now
"""

_READ_ORDER = f"SELECT {_ORDER} FROM orders o LEFT JOIN payments p ON p.order_id = o.id WHERE o.id = $1"  # noqa: S608

_WRITE_ORDER = f"""
WITH written AS (
    UPDATE orders SET
        step = $2, fingerprint = $3, answer = $4, updated_at = clock_timestamp(),
        status = coalesce($5, status),
        expires_at = coalesce($6, expires_at),
        max_expires_at = coalesce($7, max_expires_at),
        total_price_cents = coalesce($8, total_price_cents),
        version = version + $9,
        changes = changes + $10,
        payment_attempts = coalesce($11, payment_attempts),
        failure_code = coalesce($12, failure_code),
        failure_reason = coalesce($13, failure_reason),
        reference = coalesce($14, reference),
        confirmed_at = CASE WHEN $5 = 'CONFIRMED' THEN clock_timestamp() ELSE confirmed_at END
    WHERE id = $1 RETURNING *)
SELECT {_ORDER} FROM written o LEFT JOIN payments p ON p.order_id = o.id
"""  # noqa: S608


_ADOPT = f"""
UPDATE orders SET namespace_id = $1 WHERE namespace_id = $2 AND (
    {IS_OPEN}
    OR id IN (SELECT order_id FROM payments WHERE state = 'refund_due'))
RETURNING id
"""  # noqa: S608 - of constants only

_LOG_FINDING = """
INSERT INTO order_events (order_id, seq, step, status, version, seats, expires_at, failure_code, finding)
SELECT order_id, seq + 1, $2, status, version, seats, expires_at, failure_code, $3 FROM order_events
WHERE order_id = $1 ORDER BY seq DESC LIMIT 1
"""

_LAST_FINDING = "SELECT finding FROM order_events WHERE order_id = $1 ORDER BY seq DESC LIMIT 1"


class StepMessage(Protocol):
    """A message that changes an order as one step; its `finding`, if it has one, is the reconciler's reason for it."""

    @property
    def step(self) -> Step:
        """The step of the order that the message is."""


@dataclass(frozen=True)
class OrderUpdate:
    """The decision of a rule: the outcome, and the new values of the order; None keeps a value."""

    outcome: Outcome = Outcome.DONE
    refusal: SkyholdError | None = None
    status: OrderStatus | None = None
    expires_at: datetime | None = None
    max_expires_at: datetime | None = None
    total_cents: int | None = None
    has_new_seats: bool = False
    is_change: bool = False
    payment_attempts: int | None = None
    failure_code: FailureCode | None = None
    failure_reason: str | None = None
    reference: str | None = None
    changed_seats: tuple[SeatState, ...] = ()


@dataclass(frozen=True)
class NewOrder:
    """The values of a new order's row, for the case that it does not exist."""

    flight_id: str | None
    policy: Policy
    namespace_id: str
    guest_hash: str | None


@dataclass(frozen=True)
class LockedOrder:
    """The order's row under our row lock, and PostgreSQL's time after the lock was acquired."""

    row: Row
    policy: Policy
    now: datetime

    @property
    def id(self) -> str:
        """The order's id."""
        return str(self.row["id"])

    @property
    def status(self) -> OrderStatus:
        """The order's status before the command."""
        return OrderStatus(self.row["status"])


Rule = Callable[[Connection, LockedOrder], Awaitable[OrderUpdate]]


class Ledger:
    """The ledger in PostgreSQL, which decides every command of an order."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    async def change(
        self,
        message: StepMessage,
        legal: Collection[OrderStatus],
        rule: Rule,
        *,
        amends: bool = False,
        birth: NewOrder | None = None,
    ) -> Answer:
        """Judge the message as its step of the order, in one transaction, and return the answer with the order.

        The rule runs only at `orders.step = step - 1` and a legal status. It checks before it writes: a refusal that it
        raises is stored as the step's answer, and nothing else. The same step with the same fingerprint gets the stored
        answer, or is judged again if that left it open; any other step is stale. `amends` marks the second half of a
        payment step, which is judged only while the first half has left the step open. With `birth` the first step
        inserts the row. The finding of the message, if it has one, is logged before the events of the step.
        """
        step, mark, finding = message.step, fingerprint(message), getattr(message, "finding", None)
        async with _transaction(self.pool) as connection:
            row = await _insert_order(connection, step, birth) if birth is not None else None
            row = row or await connection.fetchrow(_LOCK_ORDER, step.order_id)
            if row is None or row["chain"] != step.chain:
                return Answer(Outcome.NOT_OWNER, Refusal.of(OrderIdTaken()))
            if row["step"] == step.number and row["fingerprint"] == mark:
                stored = _stored_answer(row["answer"])
                if stored.outcome is not Outcome.OPEN:
                    order = await _read(connection, step.order_id)
                    return Answer(stored.outcome, stored.refusal, order, changed_seats=None)
            elif amends or row["step"] != step.number - 1 or row["status"] not in legal:
                return Answer(Outcome.STALE, order=await _read(connection, step.order_id))
            elif finding is not None:
                await connection.execute(_LOG_FINDING, step.order_id, step.number, finding)
            locked = LockedOrder(row, Policy.from_json(row["policy"]), row["now"])
            try:
                ruling = await rule(connection, locked)
            except SkyholdError as refusal:
                ruling = OrderUpdate(Outcome.REFUSED, refusal)
            return await _write(connection, step, mark, ruling)

    async def note(self, order_id: str, finding: str) -> None:
        """Write a finding into the order's log, if there is such an order; nothing else of it changes.

        A finding equal to the log's last one is not repeated: a fault that recurs every minute would fill the log.
        """
        async with _transaction(self.pool) as connection:
            row = await connection.fetchrow(_LOCK_ORDER, order_id)
            if row is not None and await connection.fetchval(_LAST_FINDING, order_id) != finding:
                await connection.execute(_LOG_FINDING, order_id, row["step"], finding)

    async def adopt(self, namespace_id: str, *, lost: str) -> int:
        """Move the unfinished orders of the Temporal namespace `lost` to this one, and return their number.

        Only a person can know that it is lost: from here on an adopted order whose workflow Temporal does not know
        counts as an order without one.
        """
        rows = await self.pool.fetch(_ADOPT, namespace_id, lost)
        return len(rows)


@contextlib.asynccontextmanager
async def _transaction(pool: Pool) -> AsyncIterator[Connection]:
    """Commit the writes of the block, or none; a violated constraint is raised as the refusal that it stands for."""
    try:
        async with pool.transaction() as connection:
            yield connection
    except ConstraintViolation as violation:
        if meaning := meaning_of(violation):
            raise meaning from violation
        raise


async def _insert_order(connection: Connection, step: Step, birth: NewOrder) -> Row | None:
    """Insert the order's row and return it; the insert has locked it. None if the row exists already."""
    return await connection.fetchrow(
        _INSERT_ORDER,
        step.order_id,
        step.workflow_id,
        step.chain,
        birth.namespace_id,
        birth.flight_id,
        asdict(birth.policy),
        birth.guest_hash,
    )


async def _write(connection: Connection, step: Step, mark: str, ruling: OrderUpdate) -> Answer:
    refusal = Refusal.of(ruling.refusal) if ruling.refusal else None
    row = await connection.fetchrow(
        _WRITE_ORDER,
        step.order_id,
        step.number,
        mark,
        {"outcome": ruling.outcome, "refusal": asdict(refusal) if refusal else None},
        ruling.status,
        ruling.expires_at,
        ruling.max_expires_at,
        ruling.total_cents,
        int(ruling.has_new_seats),
        int(ruling.is_change),
        ruling.payment_attempts,
        ruling.failure_code,
        ruling.failure_reason,
        ruling.reference,
    )
    return Answer(ruling.outcome, refusal, order_of(row), changed_seats=ruling.changed_seats)


async def _read(connection: Connection, order_id: str) -> Order:
    return order_of(await connection.fetchrow(_READ_ORDER, order_id))


def _stored_answer(answer: dict[str, Any]) -> Answer:
    refusal = answer["refusal"]
    return Answer(Outcome(answer["outcome"]), Refusal(**refusal) if refusal else None)


def seat_states_of(rows: Sequence[Row]) -> tuple[SeatState, ...]:
    """Return the states of seats that a statement changed and returned."""
    return tuple(
        SeatState(
            SeatKey(str(row["flight_id"]), row["seat_id"]),
            SeatStatus(row["status"]),
            row["version"],
            row["price_cents"],
        )
        for row in rows
    )


def order_of(row: Row | None) -> Order:
    """Return the order of a row of the ledger."""
    if row is None:
        raise LookupError("an order that was just read is gone")
    return Order(
        id=row["id"],
        status=OrderStatus(row["status"]),
        step=row["step"],
        version=row["version"],
        flight_id=str(row["flight_id"]) if row["flight_id"] else None,
        seats=sort_seats(row["seats"]),
        total_cents=row["total_price_cents"],
        currency=row["currency"],
        expires_at=row["expires_at"],
        max_expires_at=row["max_expires_at"],
        left_seconds=row["left_seconds"] or 0.0,
        changes=row["changes"],
        payment=PaymentState(row["payment_state"]),
        payment_attempts=row["payment_attempts"],
        last_verdict=PaymentVerdict(row["last_verdict"]) if row["last_verdict"] else None,
        failure_code=FailureCode(row["failure_code"]) if row["failure_code"] else None,
        failure_reason=row["failure_reason"],
        reference=row["reference"],
        policy=Policy.from_json(row["policy"]),
    )
