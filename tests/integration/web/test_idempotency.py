"""Requests with an Idempotency-Key: repeated, concurrent, after a lost reply, after the end, they count once."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import uuid
from collections.abc import AsyncIterator
from typing import Any
from unittest import mock

import httpx
import pytest
from fastapi import FastAPI
from temporalio.client import Client

from skyhold.bootstrap.api import open_api
from skyhold.bootstrap.workers import open_worker
from skyhold.postgresql.pools import Pool
from skyhold.settings import Settings
from skyhold.workflows.booking_client import BookingClient
from skyhold_local.embedded.servers import Servers
from support.canaries import CODE, code_told_in
from support.services import FL101, Service, eventually, running_service
from support.web import COOKIE, client_of

KEY = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"


def a_key() -> dict[str, str]:
    return {KEY: secrets.token_hex(16)}


async def _create(service: Service, key: dict[str, str], *seats: str, **more: Any) -> httpx.Response:
    body = {"flightId": FL101, "seats": list(seats)} | more
    return await service.api.post("/api/orders", json=body, headers=key)


def _said(reply: httpx.Response) -> tuple[int, dict[str, Any]]:
    """Return the part of a reply that is the same in every retry."""
    body = reply.json()
    return reply.status_code, {name: value for name, value in body.items() if name != "serverTime"}


def _is_replay(reply: httpx.Response) -> bool:
    """Return whether the reply is marked as replayed."""
    assert reply.headers.get(REPLAYED, "true") == "true"
    return REPLAYED in reply.headers


@contextlib.asynccontextmanager
async def _locked(pool: Pool, seat: str) -> AsyncIterator[None]:
    """Lock the seat's row, so that the ledger cannot decide about it."""
    async with pool.acquire() as holder, holder.transaction():
        await holder.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        await holder.execute("SELECT FROM seats WHERE flight_id = $1 AND seat_id = $2 FOR UPDATE", FL101, seat)
        yield


async def _transaction_waits(pool: Pool) -> None:
    async with asyncio.timeout(20):
        while not await pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.fixture
async def app(settings: Settings, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FastAPI]:
    monkeypatch.setenv("TEMPORAL_ADDRESS", servers.temporal_address)
    async with open_worker(settings) as running, running.worker, open_api(settings) as app:
        yield app


async def test_an_order_asked_for_again_is_the_same_order(service: Service, pool: Pool) -> None:
    key = a_key()
    first, again = await _create(service, key, "1A", "1B"), await _create(service, key, "1B", "1A")
    assert first.status_code == 201
    assert uuid.UUID(first.json()["orderId"]).version == 8
    assert uuid.UUID(first.json()["orderId"]).variant == uuid.RFC_4122
    assert _said(again) == _said(first)
    assert (_is_replay(first), _is_replay(again)) == (False, True)
    assert await pool.fetchval("SELECT count(*) FROM orders") == 1


async def test_twenty_times_at_once_by_a_guest_without_a_cookie_is_one_order_of_one_guest(
    app: FastAPI, pool: Pool
) -> None:
    key = a_key()

    async def ask() -> tuple[int, str, str]:
        async with client_of(app) as stranger:
            reply = await _create(Service(stranger), key, "2A")
            return reply.status_code, reply.json()["orderId"], stranger.cookies[COOKIE]

    replies = await asyncio.gather(*(ask() for _ in range(20)))
    assert len(set(replies)) == 1
    assert replies[0][0] == 201
    assert await pool.fetchval("SELECT count(*) FROM orders") == 1
    # A client with one of the replies has the cookie, and sends the same request with it.
    async with client_of(app) as guest:
        guest.cookies[COOKIE] = replies[0][2]
        assert (await _create(Service(guest), key, "2A")).json()["orderId"] == replies[0][1]


async def test_after_the_end_the_first_outcome_is_given_again(service: Service) -> None:
    key = a_key()
    first = await _create(service, key, "3A")
    order_id = first.json()["orderId"]
    await service.pay(order_id)
    await service.outcome(order_id)
    again = await _create(service, key, "3A")
    assert (_said(again), _is_replay(again)) == (_said(first), True)


async def test_after_a_cancel_the_first_outcome_is_given_again_although_the_seat_is_anothers(service: Service) -> None:
    key = a_key()
    first = await _create(service, key, "3B")
    await service.cancel(first.json()["orderId"])
    await service.hold("3B")
    assert _said(await _create(service, key, "3B")) == _said(first)


async def test_another_request_under_the_same_key_is_refused(service: Service) -> None:
    key = a_key()
    held = (await _create(service, key, "4A")).json()
    order = f"/api/orders/{held['orderId']}"
    for reply in (
        await _create(service, key, "4B"),
        await _create(service, key, "4A", flightId="550e8400-e29b-41d4-a716-446655440002"),
        await service.api.put(f"{order}/seats", json={"seats": ["4A"]}, headers=key),
        await service.api.post(f"{order}/pay", json={"paymentCode": "99999"}, headers=key),
    ):
        assert (reply.status_code, reply.json()["error"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert (await service.status(held["orderId"]))["status"] == "SEATS_RESERVED"
    assert (await service.seat("4B"))["status"] == "available"


async def test_the_same_key_of_two_guests_is_two_keys(app: FastAPI) -> None:
    key = a_key()
    async with client_of(app) as one, client_of(app) as other:
        await Service(one).hold("5A")
        await Service(other).hold("5B")
        first, second = await _create(Service(one), key, "5C"), await _create(Service(other), key, "5D")
    assert (first.status_code, second.status_code) == (201, 201)


async def test_what_was_refused_before_a_workflow_began_is_judged_afresh(service: Service) -> None:
    key, other = a_key(), await service.hold("6A")
    refused = await _create(service, key, "6A")
    await service.cancel(other["orderId"])
    first, again = await _create(service, key, "6A"), await _create(service, key, "6A")
    assert [reply.status_code for reply in (refused, first, again)] == [409, 201, 201]
    assert [_is_replay(reply) for reply in (refused, first, again)] == [False, False, True]


async def test_a_change_asked_for_again_changes_nothing_more(service: Service) -> None:
    held, key = await service.hold("7A"), a_key()
    address = f"/api/orders/{held['orderId']}/seats"
    headers = key | {"If-Match": '"1"'}
    first = await service.api.put(address, json={"seats": ["7B"]}, headers=headers)
    other = await service.change(held["orderId"], "7C")
    again = await service.api.put(address, json={"seats": ["7B"]}, headers=headers)
    assert (first.status_code, other.status_code) == (200, 200)
    assert _said(again) == _said(first)
    assert (await service.status(held["orderId"]))["seats"] == ["7C"]
    await service.cancel(held["orderId"])
    later = await service.api.put(address, json={"seats": ["7B"]}, headers=headers)
    assert _said(later) == _said(first)
    assert [_is_replay(reply) for reply in (first, other, again, later)] == [False, False, True, True]


async def test_a_payment_asked_for_again_is_charged_once_and_accepted_as_before(service: Service, pool: Pool) -> None:
    held, key = await service.hold("8A"), a_key()
    address, body = f"/api/orders/{held['orderId']}/pay", {"paymentCode": "99999"}
    replies = await asyncio.gather(*(service.api.post(address, json=body, headers=key) for _ in range(5)))
    assert [reply.status_code for reply in replies] == [202] * 5
    assert not all(_is_replay(reply) for reply in replies), "one of them was the first"
    assert (await service.outcome(held["orderId"]))["status"] == "CONFIRMED"
    again = await service.api.post(address, json=body, headers=key)
    assert (again.status_code, _is_replay(again)) == (202, True)
    other_code = await service.api.post(address, json={"paymentCode": "11111"}, headers=key)
    assert (other_code.status_code, _is_replay(other_code)) == (422, False)
    assert await pool.fetchval("SELECT sum(captures) FROM gateway_statement") == 1


async def test_a_refusal_by_the_booking_is_given_again_and_marked(service: Service) -> None:
    held, key = await service.hold("8B"), a_key()
    # The ledger judges a wrong version; a refusal by the precheck does not reach it.
    headers = key | {"If-Match": '"7"'}
    replies = [
        await service.api.put(f"/api/orders/{held['orderId']}/seats", json={"seats": ["8C"]}, headers=headers)
        for _ in range(2)
    ]
    assert [(reply.status_code, reply.json()["error"]) for reply in replies] == [(412, "ORDER_CHANGED")] * 2
    assert [_is_replay(reply) for reply in replies] == [False, True]
    await service.cancel(held["orderId"])
    later = await service.api.put(f"/api/orders/{held['orderId']}/seats", json={"seats": ["8C"]}, headers=headers)
    assert (later.status_code, _is_replay(later)) == (412, True)


async def test_a_hold_that_the_booking_refused_is_refused_again_and_marked(
    settings: Settings, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", servers.temporal_address)
    key = a_key()
    async with running_service(settings.model_copy(update={"max_holds_per_guest": 1})) as service:
        await service.hold("8D")
        replies = [await _create(service, key, "8E") for _ in range(2)]
    assert [(reply.status_code, reply.json()["error"]) for reply in replies] == [(409, "HOLD_LIMIT")] * 2
    assert [_is_replay(reply) for reply in replies] == [False, True]


@pytest.mark.rest
async def test_a_key_that_was_remembered_and_never_carried_out_is_no_replay(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API died after storing the key and before sending the command."""
    held, hold_key, change_key = await service.hold("8F"), a_key(), a_key()
    address, body = f"/api/orders/{held['orderId']}/seats", {"seats": ["9A"]}
    with monkeypatch.context() as broken:
        broken.setattr(BookingClient, "hold", mock.AsyncMock(side_effect=RuntimeError))
        broken.setattr(BookingClient, "send", mock.AsyncMock(side_effect=RuntimeError))
        assert (await _create(service, hold_key, "9B")).status_code == 500
        assert (await service.api.put(address, json=body, headers=change_key)).status_code == 500
    holds = [await _create(service, hold_key, "9B") for _ in range(2)]
    changes = [await service.api.put(address, json=body, headers=change_key) for _ in range(2)]
    assert [(reply.status_code, _is_replay(reply)) for reply in holds] == [(201, False), (201, True)]
    assert [(reply.status_code, _is_replay(reply)) for reply in changes] == [(200, False), (200, True)]


async def test_of_two_at_once_neither_claims_that_the_other_was_first(service: Service, pool: Pool) -> None:
    held, key = await service.hold("10C"), a_key()
    address, body = f"/api/orders/{held['orderId']}/seats", {"seats": ["10D"]}
    async with asyncio.TaskGroup() as group, _locked(pool, "10D"):
        first = group.create_task(service.api.put(address, json=body, headers=key))
        await _transaction_waits(pool)
        send = BookingClient.send
        with mock.patch.object(BookingClient, "send", autospec=True, side_effect=send) as sent:
            second = group.create_task(service.api.put(address, json=body, headers=key))
            async with asyncio.timeout(20):
                while not sent.called:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
    replies = [first.result(), second.result()]
    assert [(reply.status_code, _is_replay(reply)) for reply in replies] == [(200, False), (200, False)]
    assert _is_replay(await service.api.put(address, json=body, headers=key))


@pytest.mark.rest
async def test_a_change_that_a_termination_left_behind_has_no_answer_to_give_again(
    service: Service, pool: Pool, temporal_client: Client
) -> None:
    held, key = await service.hold("11C"), a_key()
    address, body = f"/api/orders/{held['orderId']}/seats", {"seats": ["11D"]}
    booking = temporal_client.get_workflow_handle(held["workflowId"])

    async def is_accepted() -> bool:
        events = (await booking.fetch_history()).events
        accepted = (event.workflow_execution_update_accepted_event_attributes for event in events)
        return any(update.accepted_request.input.name == "update-seats" for update in accepted)

    async with asyncio.TaskGroup() as group, _locked(pool, "11D"):
        asking = group.create_task(service.api.put(address, json=body, headers=key))
        await eventually(is_accepted)
        await booking.terminate()
    again = await service.api.put(address, json=body, headers=key)
    for reply in (asking.result(), again):
        assert (reply.status_code, reply.json()["outcome"], _is_replay(reply)) == (503, "unknown", False)
    update_id = await pool.fetchval("SELECT update_id FROM idempotency_keys WHERE order_id = $1", held["orderId"])
    assert await BookingClient(temporal_client).find_answer(held["orderId"], update_id) is None


async def test_after_a_day_a_key_is_new_and_what_is_past_its_day_is_forgotten(service: Service, pool: Pool) -> None:
    key = a_key()
    first = await _create(service, key, "9A")
    await _create(service, a_key(), "9B")
    await pool.execute("UPDATE idempotency_keys SET remembered_at = remembered_at - interval '24 hours 1 second'")
    second = await _create(service, key, "9C")
    assert second.status_code == 201
    assert second.json()["orderId"] != first.json()["orderId"]
    assert await pool.fetchval("SELECT count(*) FROM idempotency_keys") == 1


async def test_whoever_knows_an_old_key_is_not_the_guest_that_it_made(app: FastAPI, pool: Pool) -> None:
    key = a_key()
    async with client_of(app) as guest, client_of(app) as finder:
        held = (await _create(Service(guest), key, "9D")).json()
        other_wish = await _create(Service(finder), key, "9E")
        assert (other_wish.status_code, "set-cookie" in other_wish.headers) == (422, False)
        await pool.execute("UPDATE idempotency_keys SET remembered_at = remembered_at - interval '24 hours 1 second'")
        assert (await _create(Service(finder), key, "9F")).status_code == 201
        assert (await finder.get(f"/api/orders/{held['orderId']}")).status_code == 404
        assert len((await finder.get("/api/orders")).json()["orders"]) == 1


@pytest.mark.rest(but_first=True)
@pytest.mark.parametrize("key", ["", "fifteen-letters", "x" * 256, "sixteen letters and a space", "ключключключключ"])
async def test_a_key_that_is_none_is_pointed_at_and_not_repeated(key: str, service: Service) -> None:
    reply = await _create(service, {KEY: key.encode()}, "10A")  # type: ignore[dict-item]
    problem = reply.json()
    assert (reply.status_code, problem["error"]) == (400, "INVALID_REQUEST")
    assert problem["errors"][0]["pointer"] == f"/{KEY}"
    assert not key or key not in reply.text
    assert (await service.seat("10A"))["status"] == "available"


async def test_two_keys_in_one_request_are_none(service: Service) -> None:
    body = {"flightId": FL101, "seats": ["10B"]}
    reply = await service.api.post("/api/orders", json=body, headers=[*a_key().items(), *a_key().items()])
    assert (reply.status_code, reply.json()["error"]) == (400, "INVALID_REQUEST")
    assert reply.json()["errors"][0]["pointer"] == f"/{KEY}"
    assert (await service.seat("10B"))["status"] == "available"


async def test_neither_key_nor_body_is_stored(service: Service, pool: Pool) -> None:
    held, key = await service.hold("11A"), {KEY: "-".join([CODE] * 4)}
    await service.api.post(f"/api/orders/{held['orderId']}/pay", json={"paymentCode": CODE}, headers=key)
    rows = await pool.fetch("SELECT * FROM idempotency_keys")
    assert len(rows) == 1
    assert code_told_in(repr([dict(row) for row in rows])) == ""


async def test_a_retry_after_the_api_died_before_its_reply_finds_the_same_order(
    settings: Settings, servers: Servers, monkeypatch: pytest.MonkeyPatch, pool: Pool
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", servers.temporal_address)
    key = a_key()
    async with open_worker(settings) as running, running.worker:
        # The seat's row is locked, so that the hold waits while the API that requested it stops.
        async with _locked(pool, "12A"), open_api(settings) as app, client_of(app) as client:
            asking = asyncio.create_task(_create(Service(client), key, "12A"))
            await _transaction_waits(pool)
            asking.cancel()
        async with open_api(settings) as app, client_of(app) as client:
            retried = await _create(Service(client), key, "12A")
            assert retried.status_code == 201
            assert _is_replay(await _create(Service(client), key, "12A"))
    assert await pool.fetchval("SELECT count(*) FROM orders") == 1
    assert await pool.fetchval("SELECT count(*) FROM seats WHERE status = 'reserved'") == 1
