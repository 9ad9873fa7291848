"""All stored data of a flight and its orders, without the parts that differ between runs."""

from __future__ import annotations

import math
from typing import Any

from redis.asyncio import Redis

from skyhold.domain.seats import SeatKey
from skyhold.postgresql.pools import Pool
from skyhold.readers.seat_locks import lock_name

EndState = dict[str, list[tuple[Any, ...]]]

_GRAIN_SECONDS = 30
"""Times are compared by the time left, rounded up to this: no test is that slow, and all times differ by more."""

_LEFT = "ceil(extract(epoch FROM {} - clock_timestamp()) / 30)::int"

_TABLES = {
    "orders": f"""
        SELECT id, step, fingerprint IS NOT NULL, status, guest_hash IS NOT NULL, total_price_cents, currency, version, changes,
               {_LEFT.format("expires_at")}, max_expires_at IS NOT NULL, payment_attempts, confirmed_at IS NOT NULL,
               failure_code, failure_reason, reference IS NOT NULL
        FROM orders WHERE flight_id = $1""",
    "seats": f"""
        SELECT seat_id, status, order_id, {_LEFT.format("held_until")}, version FROM seats WHERE flight_id = $1""",
    "order_seats": "SELECT order_id, seat_id, price_cents FROM order_seats WHERE flight_id = $1",
    "order_events": """
        SELECT e.order_id, e.seq, e.step, e.status, e.version, e.seats, e.expires_at IS NOT NULL, e.failure_code
        FROM order_events e JOIN orders o ON o.id = e.order_id WHERE o.flight_id = $1""",
    "payments": """
        SELECT p.order_id, p.state, p.captured_cents, p.refunded_cents
        FROM payments p JOIN orders o ON o.id = p.order_id WHERE o.flight_id = $1""",
    "payment_attempts": """
        SELECT a.order_id, a.attempt, a.verdict
        FROM payment_attempts a JOIN orders o ON o.id = a.order_id WHERE o.flight_id = $1""",
    "gateway_statement": """
        SELECT o.id, g.state, g.amount_cents, g.currency, g.captures, g.refunds
        FROM gateway_statement g JOIN orders o ON o.payment_key = g.key WHERE o.flight_id = $1""",
}


async def end_state(pool: Pool, redis: Redis, flight_id: str, *, ours: str) -> EndState:
    """Return the end state, with the order under test named "ours" and the others numbered."""
    created = await pool.fetch("SELECT id FROM orders WHERE flight_id = $1 ORDER BY created_at", flight_id)
    names = {row["id"]: f"order {number}" for number, row in enumerate(created)} | {ours: "ours"}

    def renamed(row: Any) -> tuple[Any, ...]:
        return tuple(names.get(value, value) if isinstance(value, str) else value for value in row)

    state: EndState = {}
    for table, query in _TABLES.items():
        state[table] = sorted((renamed(tuple(row)) for row in await pool.fetch(query, flight_id)), key=str)
    state["locks"] = [renamed(lock) for lock in await _locks(pool, redis, flight_id)]
    return state


async def times_asked(pool: Pool, flight_id: str) -> int:
    """Return the number of charge requests for this flight's orders."""
    asked = await pool.fetchval(
        "SELECT sum(asked) FROM gateway_statement JOIN orders ON payment_key = key WHERE flight_id = $1", flight_id
    )
    return int(asked or 0)


async def _locks(pool: Pool, redis: Redis, flight_id: str) -> list[tuple[Any, ...]]:
    locks: list[tuple[Any, ...]] = []
    for row in await pool.fetch("SELECT seat_id FROM seats WHERE flight_id = $1 ORDER BY seat_id", flight_id):
        key = lock_name(SeatKey(flight_id, row["seat_id"]))
        if owner := await redis.get(key):
            seconds = await redis.pttl(key) / 1000
            assert seconds > 0, "a lock without an end"
            locks.append((row["seat_id"], owner, math.ceil(seconds / _GRAIN_SECONDS)))
    return locks
