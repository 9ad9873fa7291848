"""Expected totals and extended holds over HTTP, and the rows that both leave."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from skyhold.bootstrap.temporal import connect_temporal
from skyhold.domain.seats import SeatKey
from skyhold.messages import PROCEED_TO_PAYMENT, UPDATE_SEATS
from skyhold.postgresql.pools import Pool
from skyhold.readers.seat_locks import lock_name
from skyhold.web.api.gate import SeatRequest
from support.services import FL101, Service, eventually

PRICE = 35000


async def _raise_price(pool: Pool, *seats: str, cents: int = 40000) -> None:
    await pool.execute(
        "UPDATE seats SET price_cents = $3, version = version + 1 WHERE flight_id = $1 AND seat_id = ANY($2)",
        FL101,
        list(seats),
        cents,
    )


async def _order(service: Service, *seats: str, expected: int, key: str | None = None) -> httpx.Response:
    body = {"flightId": FL101, "seats": list(seats), "expectedTotalCents": expected}
    return await service.api.post("/api/orders", json=body, headers={"Idempotency-Key": key} if key else {})


async def _change(service: Service, order_id: str, *seats: str, expected: int, **headers: str) -> httpx.Response:
    body = {"seats": list(seats), "expectedTotalCents": expected}
    return await service.api.put(f"/api/orders/{order_id}/seats", json=body, headers=headers)


def _price_changed(reply: httpx.Response) -> tuple[int, Any]:
    problem = reply.json()
    assert (reply.status_code, problem["error"]) == (409, "PRICE_CHANGED")
    assert problem["currency"] == "USD"
    return reply.status_code, problem["totalPriceCents"]


@pytest.fixture
def no_precheck(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every command reach the ledger, as if the price changed just after the precheck."""
    monkeypatch.setattr(SeatRequest, "precheck", lambda *_, **__: None)


async def test_a_hold_at_the_total_that_was_shown_is_held(service: Service) -> None:
    reply = await _order(service, "1A", "1B", expected=2 * PRICE)
    assert (reply.status_code, reply.json()["totalPriceCents"]) == (201, 2 * PRICE)


async def test_a_hold_at_another_total_is_refused_before_any_workflow(service: Service, pool: Pool) -> None:
    await _raise_price(pool, "1B")
    reply = await _order(service, "1A", "1B", expected=2 * PRICE)
    assert _price_changed(reply) == (409, PRICE + 40000)
    assert await pool.fetchval("SELECT count(*) FROM orders") == 0
    assert (await _order(service, "1A", "1B", expected=PRICE + 40000)).status_code == 201


@pytest.mark.usefixtures("no_precheck")
async def test_a_price_that_changes_on_the_way_fails_the_order_and_the_key_keeps_the_answer(
    service: Service, pool: Pool
) -> None:
    await _raise_price(pool, "1B")
    key = secrets.token_hex(16)
    reply = await _order(service, "1A", "1B", expected=2 * PRICE, key=key)
    assert _price_changed(reply) == (409, PRICE + 40000)
    row = await pool.fetchrow("SELECT id, status, failure_code FROM orders")
    assert row is not None
    assert (row["status"], row["failure_code"]) == ("FAILED", "PRICE_CHANGED")
    await _raise_price(pool, "1B", cents=PRICE)
    again = await _order(service, "1A", "1B", expected=2 * PRICE, key=key)
    assert _price_changed(again) == (409, PRICE + 40000), "the first outcome, though the price is right by now"
    assert (await service.seat("1A"))["status"] == "available"


@pytest.mark.parametrize("is_prechecked", [True, False])
async def test_a_change_at_another_total_keeps_the_old_seats(
    service: Service, pool: Pool, monkeypatch: pytest.MonkeyPatch, *, is_prechecked: bool
) -> None:
    held = await service.hold("2A", "2B")
    await _raise_price(pool, "2B", "2C")
    if not is_prechecked:
        monkeypatch.setattr(SeatRequest, "precheck", lambda *_, **__: None)
    reply = await _change(service, held["orderId"], "2B", "2C", expected=2 * PRICE)
    assert _price_changed(reply) == (409, PRICE + 40000), "the seat that it keeps has the price of its claim"
    status = await service.status(held["orderId"])
    assert (status["seats"], status["expiresAt"]) == (["2A", "2B"], held["expiresAt"])
    assert (await _change(service, held["orderId"], "2B", "2C", expected=PRICE + 40000)).status_code == 200


async def test_an_alternative_that_keeps_a_seat_is_had_at_the_total_it_was_offered_at(
    service: Service, pool: Pool
) -> None:
    held = await service.hold("18A")
    await _raise_price(pool, "18A", cents=60000)
    await pool.execute(
        "UPDATE seats SET status = 'blocked', version = version + 1 WHERE flight_id = $1 AND seat_id <> ALL($2)",
        FL101,
        ["18A", "18B"],
    )
    refused = await service.change(held["orderId"], "18A", "18C")
    assert refused.json()["alternatives"] == [{"seats": ["18A", "18B"], "totalPriceCents": 2 * PRICE}]

    changed = await _change(service, held["orderId"], "18A", "18B", expected=2 * PRICE)

    assert (changed.status_code, changed.json()["totalPriceCents"]) == (200, 2 * PRICE)


async def test_the_expected_total_is_part_of_what_a_key_stands_for(service: Service) -> None:
    key = secrets.token_hex(16)
    first = await _order(service, "3A", expected=PRICE, key=key)
    assert (await _order(service, "3A", expected=PRICE, key=key)).json()["orderId"] == first.json()["orderId"]
    for expected in (PRICE + 1, None):
        body = {"flightId": FL101, "seats": ["3A"]} | ({"expectedTotalCents": expected} if expected else {})
        reply = await service.api.post("/api/orders", json=body, headers={"Idempotency-Key": key})
        assert (reply.status_code, reply.json()["error"]) == (422, "IDEMPOTENCY_KEY_REUSED")


@pytest.mark.rest(but_first=True)
@pytest.mark.parametrize("expected", [-1, 1.5, "35000", True, [], 10**12])
async def test_what_is_no_sum_is_refused_by_its_place(service: Service, expected: object) -> None:
    body = {"flightId": FL101, "seats": ["3A"], "expectedTotalCents": expected}
    reply = await service.api.post("/api/orders", json=body)
    assert (reply.status_code, reply.json()["error"]) == (400, "INVALID_REQUEST")
    assert [fault["pointer"] for fault in reply.json()["errors"]] == ["/expectedTotalCents"]


# -- Extensions ---------------------------------------------------------------------------------------------------------


async def test_the_same_seats_again_extend_the_hold_and_leave_every_tag_good(service: Service, pool: Pool) -> None:
    held = await service.hold("4A", "4B")
    order_id = held["orderId"]
    await _raise_price(pool, "4A")
    before = await service.api.get(f"/api/orders/{order_id}")
    seat = await service.seat("4A")
    reply = await _change(service, order_id, "4A", "4B", expected=2 * PRICE, **{"If-Match": before.headers["etag"]})
    assert reply.status_code == 200
    assert reply.headers["etag"] == before.headers["etag"]
    assert (reply.json()["totalPriceCents"], reply.json()["seats"]) == (2 * PRICE, ["4A", "4B"])
    assert reply.json()["expiresAt"] > held["expiresAt"]
    assert await service.seat("4A") == seat
    history = await service.get(f"/api/orders/{order_id}/history")
    assert [event["expiresAt"] for event in history["events"][1:]] == [held["expiresAt"], reply.json()["expiresAt"]]
    paid = await service.api.post(
        f"/api/orders/{order_id}/pay", json={"paymentCode": "99999"}, headers={"If-Match": before.headers["etag"]}
    )
    assert paid.status_code == 202, "another window's tag is still good"


async def test_an_extension_extends_the_locks_of_its_seats(service: Service, redis: Redis) -> None:
    held = await service.hold("6A", "6B")
    names = [lock_name(SeatKey(FL101, seat)) for seat in ("6A", "6B")]
    for name in names:
        await redis.pexpire(name, 60_000)
    await _change(service, held["orderId"], "6A", "6B", expected=2 * PRICE)
    assert min([await redis.pttl(name) for name in names]) > 60_000


async def test_extensions_by_a_signal_and_by_an_update_are_those_of_http(service: Service, pool: Pool) -> None:
    held = await service.hold("5A")
    handle = (await connect_temporal()).get_workflow_handle(held["workflowId"])

    async def changes() -> int:
        counted: int = await pool.fetchval("SELECT changes FROM orders WHERE id = $1", held["orderId"])
        return counted

    await handle.signal(UPDATE_SEATS, {"seats": ["5A"]})
    assert await eventually(lambda: _is(changes, 1))
    after_signal = await service.status(held["orderId"])
    await handle.execute_update(UPDATE_SEATS, {"seats": ["5A"]})
    after_update = await service.status(held["orderId"])
    assert held["expiresAt"] < after_signal["expiresAt"] < after_update["expiresAt"]
    assert await changes() == 2

    await handle.signal(UPDATE_SEATS, {"seats": ["5A"], "expectedTotalCents": 1})

    async def is_refused() -> bool:
        said = (await service.status(held["orderId"])).get("lastError") or ""
        return said.startswith("PRICE_CHANGED: ")

    assert await eventually(is_refused)
    assert await changes() == 2
    await handle.signal(PROCEED_TO_PAYMENT, {"paymentCode": "99999"})
    assert (await service.outcome(held["orderId"]))["status"] == "CONFIRMED"


async def test_extensions_beside_each_other_are_each_granted_and_counted(service: Service, pool: Pool) -> None:
    held = await service.hold("6A", "6B")
    replies = await asyncio.gather(*(service.change(held["orderId"], "6A", "6B") for _ in range(5)))
    assert {reply.status_code for reply in replies} == {200}
    row = await pool.fetchrow("SELECT changes, version, expires_at FROM orders WHERE id = $1", held["orderId"])
    assert row is not None
    assert (row["changes"], row["version"]) == (5, 1)
    held_until = await pool.fetch("SELECT held_until FROM seats WHERE order_id = $1", held["orderId"])
    assert {seat["held_until"] for seat in held_until} == {row["expires_at"]}


async def _is(question: Any, answer: object) -> bool:
    return bool(await question() == answer)
