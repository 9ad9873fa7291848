"""Lies: refused exactly as it is documented, or else something is wrong with the API and not with the liar."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from skyhold_local.simulation.connections import Api
from skyhold_local.simulation.guests import Guest
from skyhold_local.simulation.lies import ATTEMPTS, Lie, Moment, Occasion, tell_lie
from skyhold_local.simulation.orders import OwnOrder
from skyhold_local.simulation.pauses import Pauses
from skyhold_local.simulation.replies import Act, Surprise, Unreachable
from support.small_api import FLIGHT, SmallApi, problem

pytestmark = pytest.mark.usefixtures("short_patience")

PAID = (Moment.PAYING, Moment.AFTER)
RESPONSES = {
    code
    for operations in json.loads((Path(__file__).parents[3] / "docs" / "openapi.json").read_text())["paths"].values()
    for operation in operations.values()
    for status, response in operation["responses"].items()
    for code in (
        f"{status} {name}"
        for name in response.get("content", {}).get("application/problem+json", {}).get("examples", {})
    )
}


@pytest.fixture
def small() -> SmallApi:
    return SmallApi(decides_payments=False)


@pytest.fixture
async def api(small: SmallApi) -> AsyncIterator[Api]:
    async with Api("http://skyhold.test", transport=small.transport) as api:
        yield api


@pytest.fixture
def guest(api: Api) -> Guest:
    return Guest(api, Pauses(patience=0.2))


async def an_occasion(api: Api, guest: Guest, small: SmallApi, moment: Moment) -> Occasion:
    """Return what a liar of that moment knows, who has an order beside somebody else's."""
    held = []
    for each, seat in ((Guest(api, Pauses()), "5A"), (guest, "6A")):
        reply = await each.ask(Act.HOLD, "POST", "/api/orders", {"flightId": FLIGHT, "seats": [seat]})
        held.append(OwnOrder.of(FLIGHT, (seat,), reply))
    others, own = held
    if moment in PAID:
        small.orders[own.id]["status"] = "PAYMENT_PROCESSING"
    if moment is Moment.AFTER:
        small.decide(small.orders[own.id], is_approved=True)
    return Occasion(FLIGHT, others.id, guest.cookie, own)


@pytest.mark.parametrize("lie", list(Lie))
async def test_every_lie_is_refused_and_changes_nothing(api: Api, guest: Guest, small: SmallApi, lie: Lie) -> None:
    occasion = await an_occasion(api, guest, small, ATTEMPTS[lie].moment)
    before = json.dumps([small.orders, small.seats])
    await tell_lie(guest, lie, occasion)
    assert json.dumps([small.orders, small.seats]) == before
    assert guest.cookie == occasion.cookie


@pytest.mark.parametrize("lie", list(Lie))
async def test_a_lie_that_is_granted_is_noticed(api: Api, guest: Guest, small: SmallApi, lie: Lie) -> None:
    occasion = await an_occasion(api, guest, small, ATTEMPTS[lie].moment)
    small.fault = lambda _: httpx.Response(200, json={})
    with pytest.raises(Surprise, match=f"The lie {lie} was answered 200"):
        await tell_lie(guest, lie, occasion)


@pytest.mark.parametrize("answer", [problem(500, "INTERNAL"), problem(404, "NOT_FOUND"), problem(403, "FORBIDDEN")])
async def test_a_lie_that_breaks_the_api_or_hears_another_no_is_noticed_at_once(
    api: Api, guest: Guest, small: SmallApi, answer: httpx.Response
) -> None:
    occasion = await an_occasion(api, guest, small, Moment.BEFORE)
    small.asked.clear()
    small.fault = lambda _: answer
    with pytest.raises(Surprise, match=f"The lie readAnothers was answered {answer.status_code}"):
        await tell_lie(guest, Lie.READ_ANOTHERS, occasion)
    assert len(small.asked) == 1


async def test_a_liar_waits_for_servers_that_are_away_like_anyone(api: Api, guest: Guest, small: SmallApi) -> None:
    occasion = await an_occasion(api, guest, small, Moment.BEFORE)
    small.fault = lambda _: problem(503, "DATABASE_UNAVAILABLE")
    with pytest.raises(Unreachable):
        await tell_lie(guest, Lie.NO_SEATS, occasion)
    assert len(small.asked) > 3


def test_every_answer_to_a_lie_is_documented() -> None:
    assert set().union(*(attempt.refusals for attempt in ATTEMPTS.values())) <= RESPONSES
