"""Forbidden requests: rejected exactly as documented, otherwise it is a contract violation."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from skyhold_local.simulation.behaviours import Moment
from skyhold_local.simulation.connections import Api
from skyhold_local.simulation.guests import Guest
from skyhold_local.simulation.orders import OwnOrder
from skyhold_local.simulation.pauses import Pauses
from skyhold_local.simulation.replies import Act, ContractViolation, Unreachable
from support.small_api import FLIGHT, SmallApi, problem
from tools.crowd.forbidden_requests import FORBIDDEN, ForbiddenRequest, Occasion, send_forbidden

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
    return Guest(api, Pauses(retry_seconds=0.2))


async def an_occasion(api: Api, guest: Guest, small: SmallApi, moment: Moment) -> Occasion:
    """Return the state of a sender at that moment, who has an order beside that of another customer."""
    held = []
    for each, seat in ((Guest(api, Pauses()), "5A"), (guest, "6A")):
        reply = await each.send(Act.HOLD, "POST", "/api/orders", {"flightId": FLIGHT, "seats": [seat]})
        held.append(OwnOrder.of(FLIGHT, (seat,), reply))
    others, own = held
    if moment in PAID:
        small.orders[own.id]["status"] = "PAYMENT_PROCESSING"
    if moment is Moment.AFTER:
        small.decide(small.orders[own.id], is_approved=True)
    return Occasion(FLIGHT, others.id, guest.cookie, own)


@pytest.mark.parametrize("kind", list(ForbiddenRequest))
async def test_every_forbidden_request_is_rejected_and_changes_nothing(
    api: Api, guest: Guest, small: SmallApi, kind: ForbiddenRequest
) -> None:
    occasion = await an_occasion(api, guest, small, FORBIDDEN[kind].moment)
    before = json.dumps([small.orders, small.seats])
    await send_forbidden(guest, kind, occasion)
    assert json.dumps([small.orders, small.seats]) == before
    assert guest.cookie == occasion.cookie


@pytest.mark.parametrize("kind", list(ForbiddenRequest))
async def test_an_accepted_forbidden_request_is_reported(
    api: Api, guest: Guest, small: SmallApi, kind: ForbiddenRequest
) -> None:
    occasion = await an_occasion(api, guest, small, FORBIDDEN[kind].moment)
    small.fault = lambda _: httpx.Response(200, json={})
    with pytest.raises(ContractViolation, match=f"The forbidden request {kind} was answered 200"):
        await send_forbidden(guest, kind, occasion)


@pytest.mark.parametrize("answer", [problem(500, "INTERNAL"), problem(404, "NOT_FOUND"), problem(403, "FORBIDDEN")])
async def test_one_that_breaks_the_api_or_is_rejected_otherwise_is_reported_at_once(
    api: Api, guest: Guest, small: SmallApi, answer: httpx.Response
) -> None:
    occasion = await an_occasion(api, guest, small, Moment.BEFORE)
    small.asked.clear()
    small.fault = lambda _: answer
    with pytest.raises(
        ContractViolation, match=f"The forbidden request readAnothers was answered {answer.status_code}"
    ):
        await send_forbidden(guest, ForbiddenRequest.READ_ANOTHERS, occasion)
    assert len(small.asked) == 1


async def test_unavailable_servers_are_waited_for(api: Api, guest: Guest, small: SmallApi) -> None:
    occasion = await an_occasion(api, guest, small, Moment.BEFORE)
    small.fault = lambda _: problem(503, "DATABASE_UNAVAILABLE")
    with pytest.raises(Unreachable):
        await send_forbidden(guest, ForbiddenRequest.NO_SEATS, occasion)
    assert len(small.asked) > 3


def test_every_expected_rejection_is_documented() -> None:
    assert set().union(*(attempt.refusals for attempt in FORBIDDEN.values())) <= RESPONSES
