"""Seat plans from the real ledger."""

from __future__ import annotations

from skyhold.domain.alternatives import Alternative, find_alternatives
from skyhold.domain.seat_plans import SeatPlan, members_of
from skyhold.postgresql.pools import Pool
from skyhold.queries.database import Database
from skyhold.queries.seat_plans import SeatPlanQueries
from support.services import FL101, SK900


async def test_a_plan_has_the_seats_the_cabins_and_what_is_free(pool: Pool) -> None:
    await pool.execute(
        "UPDATE seats SET status = 'blocked', version = 2 WHERE flight_id = $1 AND seat_id = '14A'", FL101
    )
    plan = await _plan(pool, FL101)
    assert len(plan.places) == 120
    found = find_alternatives(plan, ["14B"], conflicts=["14B"])
    assert found == (Alternative(("14C",), 35000), Alternative(("15B",), 35000), Alternative(("13B",), 35000))


async def test_a_wide_body_keeps_its_cabins_apart(pool: Pool) -> None:
    plan = await _plan(pool, SK900)
    found = find_alternatives(plan, ["14A"], conflicts=["14A"])
    assert [each.total_cents for each in found] == [340000] * 3
    pairs = [each.seats for each in find_alternatives(plan, ["20D", "20E"], conflicts=["20E"])]
    assert pairs[:2] == [("20C", "20D"), ("21D", "21E")]


async def test_seats_in_exit_rows_are_known(pool: Pool) -> None:
    plan = await _plan(pool, SK900)
    exits = members_of(plan.matching(is_exit_row=True, prices=(), kinds=()))
    assert {plan.places[number].seat.row for number in exits} == {33}


async def test_a_flight_that_departed_says_so_and_one_that_is_not_there_has_no_plan(pool: Pool) -> None:
    queries = SeatPlanQueries(Database(pool))
    found = await queries.read(FL101)
    assert found is not None
    assert (found.currency, found.has_departed) == ("USD", False)
    await pool.execute("UPDATE flights SET departs_at = clock_timestamp() - interval '1 s' WHERE id = $1", FL101)
    departed = await queries.read(FL101)
    assert departed is not None
    assert departed.has_departed
    assert await queries.read("550e8400-e29b-41d4-a716-446655449999") is None


async def _plan(pool: Pool, flight_id: str) -> SeatPlan:
    found = await SeatPlanQueries(Database(pool)).read(flight_id)
    assert found is not None
    return found.seats
