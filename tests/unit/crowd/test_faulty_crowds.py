"""Crowds with faults on an API in memory: they book like any crowd, and a contract violation is reported."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import httpx
import pytest

from skyhold_local.simulation.behaviours import Moment
from skyhold_local.simulation.crowd import Closing
from support.crowds import a_plan, closed_when, run, stopped_when, with_faults
from support.small_api import FLIGHT, SmallApi, problem
from tools.crowd.contention import Contention
from tools.crowd.forbidden_requests import FORBIDDEN, ForbiddenRequest
from tools.crowd.network_faults import NetworkFault

pytestmark = pytest.mark.usefixtures("short_patience")


async def test_forbidden_requests_are_counted_and_their_senders_book_like_anyone() -> None:
    small = SmallApi()
    plan, counts = with_faults(a_plan(customers=20, pace=20), forbidden=50)

    crowd = await run(
        small, plan, closed_when(lambda _: {FORBIDDEN[kind].moment for kind in counts.rejected} == set(Moment))
    )

    outcomes = crowd.outcomes
    assert counts.sent == counts.rejected
    assert (outcomes.open_orders, outcomes.violations, outcomes.failures) == ({}, 0, Counter())
    assert outcomes.orders.total() == len(small.orders)
    assert "reserved" not in small.seats.values()


async def test_an_accepted_forbidden_request_is_reported() -> None:
    small = SmallApi(accepts_everything=True)
    plan, counts = with_faults(a_plan(), forbidden=100)
    crowd = await run(small, plan, closed_when(lambda outcomes: outcomes.violations))
    assert counts.sent.total() > counts.rejected.total()
    assert "The forbidden request " in crowd.outcomes.violation_details[0]


async def test_a_forbidden_request_that_changes_the_senders_own_order_is_reported() -> None:
    def obey_and_refuse(request: httpx.Request) -> httpx.Response | None:
        if request.headers.get("If-Match") != '"999999999"':
            return None
        small.decide(small.orders[request.url.path.split("/")[3]], is_approved=True)
        return problem(412, "ORDER_CHANGED")

    small = SmallApi(fault=obey_and_refuse)
    plan, counts = with_faults(a_plan(customers=30), forbidden=100)
    crowd = await run(small, plan, closed_when(lambda outcomes: outcomes.violations))
    assert "An order without a payment became CONFIRMED." in crowd.outcomes.violation_details
    assert counts.sent[ForbiddenRequest.STALE_TAG] > counts.rejected[ForbiddenRequest.STALE_TAG] == 0


async def test_an_own_order_is_never_taken_for_that_of_another_customer() -> None:
    """The customer is alone, so that every open order is its own."""
    others = {
        *(ForbiddenRequest.READ_ANOTHERS, ForbiddenRequest.CHANGE_ANOTHERS),
        *(ForbiddenRequest.PAY_ANOTHERS, ForbiddenRequest.CANCEL_ANOTHERS),
    }
    plan, counts = with_faults(a_plan(customers=1, seed=2, pace=10_000), forbidden=100)

    def has_sent_all() -> bool:
        return len(others & set(counts.rejected)) == 4 and counts.rejected.total() > 40

    crowd = await run(SmallApi(), plan, stopped_when(lambda outcomes: has_sent_all() or outcomes.violations))
    assert crowd.outcomes.violation_details == []


async def test_flaky_lines_cost_no_second_order() -> None:
    small = SmallApi()
    plan, counts = with_faults(a_plan(customers=20, pace=20), flaky=100)
    crowd = await run(
        small, plan, closed_when(lambda _: min(counts.network_faults[fault] for fault in NetworkFault) > 10)
    )
    outcomes = crowd.outcomes
    assert outcomes.orders.total() == len(small.orders)
    assert (outcomes.open_orders, outcomes.violations, outcomes.retries) == ({}, 0, 0)
    assert "reserved" not in small.seats.values()


async def test_an_api_that_forgets_keys_is_reported() -> None:
    plan, _ = with_faults(a_plan(), flaky=100)
    crowd = await run(SmallApi(forgets_keys=True), plan, closed_when(lambda outcomes: outcomes.violations))
    assert "sent" in crowd.outcomes.violation_details[0]


async def test_contention_ends_when_its_seats_are_sold_and_all_others_were_refused() -> None:
    small = SmallApi()
    contention = Contention.over(FLIGHT, small._seat_map(), 5, seed=3)
    plan, _ = with_faults(a_plan(customers=40, pace=20), forbidden=10, flaky=10)

    crowd = await run(small, replace(plan, goal=contention))

    outcomes = crowd.outcomes
    assert crowd.closing is Closing.SOLD_OUT
    assert {seat for seat, status in small.seats.items() if status != "available"} == contention.seats
    assert {seat for _, seat in outcomes.sold} == contention.seats
    assert 1 < len(outcomes.winners) <= 5
    assert len(outcomes.holders | outcomes.refused_customers) == 40
    assert outcomes.latencies()["refusal"].count == outcomes.conflicts >= 35
    assert (outcomes.open_orders, outcomes.violations) == ({}, 0)
