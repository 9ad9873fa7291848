"""Seat plans from the real ledger."""

from __future__ import annotations

from skyhold.domain.alternatives import Alternative, find_alternatives
from skyhold.postgresql.pools import Pool
from skyhold.queries.database import Database
from skyhold.queries.seat_plans import SeatPlanQueries
from support.services import FL101, SK900


async def test_a_plan_has_the_seats_the_cabins_and_what_is_free(pool: Pool) -> None:
    await pool.execute(
        "UPDATE seats SET status = 'blocked', version = 2 WHERE flight_id = $1 AND seat_id = '14A'", FL101
    )
    plan = await SeatPlanQueries(Database(pool)).read(FL101)
    assert len(plan.places) == 120
    found = find_alternatives(plan, ["14B"], conflicts=["14B"])
    assert found == (Alternative(("14C",), 35000), Alternative(("15B",), 35000), Alternative(("13B",), 35000))


async def test_a_wide_body_keeps_its_cabins_apart(pool: Pool) -> None:
    plan = await SeatPlanQueries(Database(pool)).read(SK900)
    found = find_alternatives(plan, ["14A"], conflicts=["14A"])
    assert [each.total_cents for each in found] == [340000] * 3
    pairs = [each.seats for each in find_alternatives(plan, ["20D", "20E"], conflicts=["20E"])]
    assert pairs[:2] == [("20C", "20D"), ("21D", "21E")]


async def test_a_flight_that_is_not_there_has_a_plan_without_seats(pool: Pool) -> None:
    plan = await SeatPlanQueries(Database(pool)).read("550e8400-e29b-41d4-a716-446655449999")
    assert plan.places == []
    assert find_alternatives(plan, ["1A"], conflicts=["1A"]) == ()
