"""The demo flights of docs/rules.md#data: inserted once, and moved to a new day after they have departed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from skyhold.postgresql.order_statuses import IS_OPEN
from skyhold.postgresql.pools import Pool
from skyhold.postgresql.sessions import Connection

ZONES = {
    "NYC": "America/New_York",
    "LAX": "America/Los_Angeles",
    "SFO": "America/Los_Angeles",
    "CHI": "America/Chicago",
    "SIN": "Asia/Singapore",
    "LHR": "Europe/London",
}

SEED_LOCK = 7_305_804_385_213_002
"""The advisory lock under which one process at a time seeds; the number means nothing."""


@dataclass(frozen=True)
class DemoCabin:
    """A cabin: its rows, its letters with a gap for each aisle, the price of a seat, and special prices by row."""

    name: str
    first_row: int
    last_row: int
    layout: str
    price_cents: int
    exit_rows: tuple[int, ...] = ()
    prices: dict[int, int] = field(default_factory=dict)
    features: tuple[str, ...] = ()


@dataclass(frozen=True)
class DemoFlight:
    """A flight of the demo, its times relative to the moment of seeding."""

    id: str
    flight_number: str
    origin: str
    destination: str
    departs_in: timedelta
    lasts: timedelta
    price_cents: int
    cabins: tuple[DemoCabin, ...]


def _narrow_body(last_row: int, price_cents: int) -> tuple[DemoCabin, ...]:
    return (DemoCabin("economy", 1, last_row, "ABC DEF", price_cents, exit_rows=(10,)),)


_ECONOMY_PRICES = dict.fromkeys(range(20, 33), 72000) | {33: 79000}

_WIDE_BODY = (
    DemoCabin("first", 1, 2, "A DG K", 690000, features=("suite",)),
    DemoCabin("business", 6, 14, "A DG K", 340000, features=("flat_bed",)),
    DemoCabin("economy", 20, 48, "ABC DEF HJK", 61000, exit_rows=(33,), prices=_ECONOMY_PRICES),
)


def _flight_id(number: str) -> str:
    return f"550e8400-e29b-41d4-a716-44665544{number}"


def _days(days: int) -> timedelta:
    return timedelta(days=days)


def _hours(hours: int) -> timedelta:
    return timedelta(hours=hours)


DEMO_FLIGHTS = (
    DemoFlight(_flight_id("0001"), "FL101", "NYC", "LAX", _days(2), _hours(6), 35000, _narrow_body(20, 35000)),
    DemoFlight(_flight_id("0002"), "FL102", "LAX", "NYC", _days(3), _hours(5), 32000, _narrow_body(20, 32000)),
    DemoFlight(_flight_id("0003"), "FL201", "SFO", "CHI", _days(1), _hours(4), 28000, _narrow_body(15, 28000)),
    DemoFlight(_flight_id("0004"), "FL202", "CHI", "SFO", _days(4), _hours(4), 27500, _narrow_body(15, 27500)),
    DemoFlight(_flight_id("0005"), "SK900", "SIN", "LHR", _days(5), _hours(14), 61000, _WIDE_BODY),
)

_SOW_FLIGHT = """
INSERT INTO flights (id, flight_number, origin, destination, departs_at, departure_zone, arrives_at, arrival_zone,
                     price_cents, currency)
SELECT $1, $2, $3, $4, departs_at, $5, departs_at + $8, $6, $9, 'USD'
FROM (SELECT date_bin('5 minutes', clock_timestamp() + $7, 'epoch') AS departs_at) AS clock
ON CONFLICT (id) DO NOTHING
"""

_SOW_CABIN = """
INSERT INTO cabins (flight_id, name, first_row, last_row, layout, exit_rows) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING
"""

_SOW_SEAT = """
INSERT INTO seats (flight_id, seat_id, row_number, letter, cabin, features, price_cents)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING
"""

_MOVE_DEPARTED = f"""
UPDATE flights f SET departs_at = clock.departs_at, arrives_at = clock.departs_at + $3
FROM (SELECT date_bin('5 minutes', clock_timestamp() + $2, 'epoch') AS departs_at) AS clock
WHERE f.id = $1 AND f.departs_at <= clock_timestamp() AND NOT EXISTS (
    SELECT 1 FROM orders o WHERE o.flight_id = f.id AND o.{IS_OPEN})
"""  # noqa: S608 - of constants only


async def seed_demo_flights(pool: Pool) -> tuple[int, int]:
    """Insert the missing flights and move those that have departed and have no open order; return both counts.

    Safe to run again or concurrently.
    """
    sown = moved = 0
    async with pool.transaction() as connection:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", SEED_LOCK)
        for flight in DEMO_FLIGHTS:
            sown += await _sow(connection, flight)
            moved += _count(await connection.execute(_MOVE_DEPARTED, flight.id, flight.departs_in, flight.lasts))
    return sown, moved


async def _sow(connection: Connection, flight: DemoFlight) -> int:
    sown = _count(
        await connection.execute(
            _SOW_FLIGHT,
            flight.id,
            flight.flight_number,
            flight.origin,
            flight.destination,
            ZONES[flight.origin],
            ZONES[flight.destination],
            flight.departs_in,
            flight.lasts,
            flight.price_cents,
        )
    )
    if sown:
        cabins = [(flight.id, c.name, c.first_row, c.last_row, c.layout, list(c.exit_rows)) for c in flight.cabins]
        await connection.executemany(_SOW_CABIN, cabins)
        await connection.executemany(_SOW_SEAT, [seat for cabin in flight.cabins for seat in _seats(flight.id, cabin)])
    return sown


def _seats(flight_id: str, cabin: DemoCabin) -> Iterator[tuple[str, str, int, str, str, list[str], int]]:
    blocks = cabin.layout.split(" ")
    for row in range(cabin.first_row, cabin.last_row + 1):
        for block_number, block in enumerate(blocks):
            for place, letter in enumerate(block):
                is_window = (block_number, place) in {(0, 0), (len(blocks) - 1, len(block) - 1)}
                is_aisle = (place == 0 and block_number > 0) or (
                    place == len(block) - 1 and block_number < len(blocks) - 1
                )
                features = [
                    *(["window"] if is_window else []),
                    *(["aisle"] if is_aisle else []),
                    *(["middle"] if not is_window and not is_aisle else []),
                    *(["exit_row"] if row in cabin.exit_rows else []),
                    *cabin.features,
                ]
                price = cabin.prices.get(row, cabin.price_cents)
                yield flight_id, f"{row}{letter}", row, letter, cabin.name, features, price


def _count(status: str) -> int:
    """Return the number of rows that a statement changed, from PostgreSQL's command tag."""
    return int(status.rpartition(" ")[2])
