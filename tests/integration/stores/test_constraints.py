"""The table of constraints matches the schema: it has every constraint that can be violated, and no other."""

from __future__ import annotations

import pytest

from skyhold.domain.errors import InvalidRequest
from skyhold.domain.orders import Policy
from skyhold.domain.requests import HoldRequest
from skyhold.messages import ReserveSeats, Step
from skyhold.postgresql.pools import Pool
from skyhold.stores.constraints import CONSTRAINTS
from skyhold.stores.ledger import Ledger
from skyhold.stores.seats import SeatStore
from support.activity_runner import a_flight

# From PostgreSQL 18 on NOT NULL has a constraint name, which adds nothing to its column.
_NAMES = """
SELECT conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
UNION
SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE indisunique AND relnamespace = 'public'::regnamespace
UNION
SELECT (regexp_matches(prosrc, 'CONSTRAINT = ''(\\w+)''', 'g'))[1] FROM pg_proc
WHERE pronamespace = 'public'::regnamespace
"""


async def test_the_table_names_every_constraint_of_the_ledger_and_nothing_else(shared_pool: Pool) -> None:
    names = {row[0] for row in await shared_pool.fetch(_NAMES)}
    assert names - set(CONSTRAINTS) == {"alembic_version_pkc"}
    assert set(CONSTRAINTS) - names == set()


async def test_a_violation_leaves_the_ledgers_door_as_the_error_it_stands_for(shared_pool: Pool) -> None:
    flight = await a_flight(shared_pool)
    ask = ReserveSeats(
        Step("not an order id", "booking-not an order id", "chain", 1), HoldRequest("not an order id", flight, ("1A",))
    )
    store = SeatStore(Ledger(shared_pool))
    with pytest.raises(InvalidRequest) as refusal:
        await store.reserve(ask, flight_id=flight, policy=Policy(), namespace_id="n", is_contended=False)
    assert refusal.value.__cause__ is not None
    assert await shared_pool.fetchval("SELECT count(*) FROM orders WHERE flight_id = $1", flight) == 0
