"""Retries under an idempotency key: answered with the stored answer, marked, and never sent twice."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from skyhold.domain import errors
from skyhold.domain.errors import SkyholdError, WorkflowUnavailable
from skyhold.domain.orders import OrderStatus
from skyhold.web.idempotency import REPLAYED
from skyhold.workflows.booking_client import StoredAnswer
from support.web import FLIGHT, HELD, ScriptedServices, a_look, app_over, client_of

COMMANDS: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/api/orders", {"flightId": FLIGHT, "seats": ["12A"]}),
    ("PUT", "/api/orders/an-order/seats", {"seats": ["12A"]}),
    ("POST", "/api/orders/an-order/pay", {"paymentCode": "99999"}),
]

Command = tuple[str, str, dict[str, Any]]


@pytest.fixture
def services() -> ScriptedServices:
    return ScriptedServices()


@pytest.fixture
async def api(services: ScriptedServices) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app_over(services)) as client:
        yield client


@pytest.fixture
def key() -> str:
    return secrets.token_hex(16)


async def _send(api: httpx.AsyncClient, command: Command, key: str) -> httpx.Response:
    method, path, body = command
    return await api.request(method, path, json=body, headers={"Idempotency-Key": key})


def _store(services: ScriptedServices, answer: StoredAnswer) -> None:
    """Store this answer as the booking's to the last command."""
    sent = services.sent[-1]
    services.answers[sent.update_id or sent.order_id] = answer


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_stored_reply_is_given_marked_and_nothing_is_sent(
    command: Command, api: httpx.AsyncClient, services: ScriptedServices, key: str
) -> None:
    first = await _send(api, command, key)
    _store(services, replace(HELD, order_id=services.sent[-1].order_id, version=7))
    again = await _send(api, command, key)
    assert (again.status_code, first.headers.get(REPLAYED), again.headers[REPLAYED]) == (
        first.status_code,
        None,
        "true",
    )
    assert again.headers.get("etag", '"7"') == '"7"', "the reply is made of what is stored"
    assert len(services.sent) == 1


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "refusal", [errors.OrderChanged(), errors.DeadlineExceeded(), errors.SeatsUnavailable(conflicts=[])]
)
async def test_a_stored_refusal_is_given_marked_and_nothing_is_sent(
    refusal: SkyholdError, command: Command, api: httpx.AsyncClient, services: ScriptedServices, key: str
) -> None:
    services.error = refusal
    first = await _send(api, command, key)
    _store(services, refusal)
    again = await _send(api, command, key)
    assert (
        (again.status_code, again.json()["error"]) == (first.status_code, first.json()["error"]) == (409, refusal.code)
    )
    assert (first.headers.get(REPLAYED), again.headers[REPLAYED]) == (None, "true")
    assert len(services.sent) == 1


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_command_without_an_answer_is_sent_again_and_not_marked(
    command: Command, api: httpx.AsyncClient, services: ScriptedServices, key: str
) -> None:
    replies = [await _send(api, command, key) for _ in range(2)]
    assert [REPLAYED in reply.headers for reply in replies] == [False, False]
    first, second = services.sent
    assert (first.order_id, first.update_id) == (second.order_id, second.update_id)


@pytest.mark.parametrize("command", COMMANDS)
async def test_an_unknown_outcome_is_not_marked(
    command: Command, api: httpx.AsyncClient, services: ScriptedServices, key: str
) -> None:
    await _send(api, command, key)
    services.answer_error = WorkflowUnavailable()
    again = await _send(api, command, key)
    assert (again.status_code, again.json()["outcome"], REPLAYED in again.headers) == (503, "unknown", False)

    # The booking has ended, but the ledger does not know it yet.
    services.answer_error, services.looks = None, [a_look(OrderStatus.SEATS_RESERVED)]
    _store(services, errors.OrderClosed())
    again = await _send(api, command, key)
    assert (again.status_code, again.json()["outcome"], REPLAYED in again.headers) == (503, "unknown", False)
    assert len(services.sent) == 1


async def test_a_first_request_and_one_without_a_key_look_for_no_answer(
    api: httpx.AsyncClient, services: ScriptedServices
) -> None:
    services.answer_error = RuntimeError("not to be called")
    for command in COMMANDS:
        assert (await _send(api, command, secrets.token_hex(16))).is_success
        method, path, body = command
        assert (await api.request(method, path, json=body)).is_success
        assert (await api.request(method, path, json=body)).is_success


async def test_a_key_of_another_request_is_not_marked(
    api: httpx.AsyncClient, services: ScriptedServices, key: str
) -> None:
    await _send(api, COMMANDS[0], key)
    _store(services, HELD)
    other = await _send(api, ("POST", "/api/orders", {"flightId": FLIGHT, "seats": ["12B"]}), key)
    assert (other.status_code, REPLAYED in other.headers) == (422, False)
