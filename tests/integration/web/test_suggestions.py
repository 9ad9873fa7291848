"""Suggested seats over HTTP, from the real ledger."""

from __future__ import annotations

from typing import Any

import pytest

from skyhold.postgresql.pools import Pool
from support.services import FL101, SK900, Service, eventually


async def _suggest(service: Service, flight_id: str = FL101, **asked: Any) -> list[str]:
    reply = await service.api.get(f"/api/flights/{flight_id}/suggestions", params=asked)
    assert reply.status_code == 200, reply.text
    assert reply.json()["currency"] == "USD"
    return [" ".join(each["seats"]) for each in reply.json()["suggestions"]]


async def test_seats_together_are_suggested_until_they_are_held(service: Service) -> None:
    first = (await _suggest(service, count=2))[0]
    assert first == "1A 1B"
    await service.hold(*first.split())

    async def has_news() -> bool:
        return (await _suggest(service, count=2))[0] != first

    await eventually(has_news)
    reply = await service.api.get(f"/api/flights/{FL101}/suggestions", params={"count": 2})
    assert reply.json()["suggestions"][0]["totalPriceCents"] == 2 * 35000


async def test_near_a_seat_and_only_what_matches(service: Service) -> None:
    assert (await _suggest(service, count=3, near="12B"))[0] == "12A 12B 12C"
    assert (await _suggest(service, SK900, count=2))[0] == "34A 34B"
    exits = await _suggest(service, SK900, count=2, exitRow="true")
    assert {seat[:-1] for pair in exits for seat in pair.split()} == {"33"}
    window = await _suggest(service, SK900, count=1, position="window", priceCents=61000)
    assert window[0] == "34A"


async def test_held_seats_of_the_caller_count_as_free_at_their_prices(service: Service, pool: Pool) -> None:
    order = await service.hold("12A", "12B")
    await pool.execute(
        "UPDATE seats SET price_cents = 99000, version = version + 1 WHERE flight_id = $1 AND seat_id IN ('12A', '12B')",
        FL101,
    )
    reply = await service.api.get(
        f"/api/flights/{FL101}/suggestions", params={"count": 2, "near": "12A", "order": order["orderId"]}
    )
    assert {"seats": ["12A", "12B"], "totalPriceCents": 70000} in reply.json()["suggestions"]
    others = await service.api.get(
        f"/api/flights/{FL101}/suggestions",
        params={"count": 2, "order": order["orderId"]},
        headers={"Cookie": "", "Authorization": "Bearer nobody"},
    )
    assert (others.status_code, others.json()["error"]) == (404, "ORDER_NOT_FOUND")
    elsewhere = await service.api.get(
        f"/api/flights/{SK900}/suggestions", params={"count": 2, "order": order["orderId"]}
    )
    assert (elsewhere.status_code, elsewhere.json()["detail"]) == (400, "order must be an order of this flight.")


@pytest.mark.parametrize(
    ("flight_id", "asked", "status", "code", "detail"),
    [
        (FL101, {}, 400, "INVALID_REQUEST", "count"),
        (FL101, {"count": 0}, 400, "INVALID_REQUEST", "count must be a whole number from 1 to 9"),
        (FL101, {"count": 10}, 400, "INVALID_REQUEST", "count must be a whole number from 1 to 9"),
        (FL101, {"count": 2, "near": "12I"}, 400, "INVALID_REQUEST", "near must be a row from 1 to 99 and a letter"),
        (FL101, {"count": 2, "near": "99K"}, 400, "INVALID_SEATS", "Not on this aircraft: 99K."),
        (FL101, {"count": 2, "position": "roof"}, 400, "INVALID_REQUEST", "position"),
        (FL101, {"count": 2, "order": "nobody's"}, 404, "ORDER_NOT_FOUND", ""),
        ("550e8400-e29b-41d4-a716-446655449999", {"count": 2}, 404, "FLIGHT_NOT_FOUND", ""),
        ("nonsense", {"count": 2}, 404, "FLIGHT_NOT_FOUND", ""),
    ],
)
async def test_what_cannot_be_answered_is_named(
    service: Service, *, flight_id: str, asked: dict[str, Any], status: int, code: str, detail: str
) -> None:
    reply = await service.api.get(f"/api/flights/{flight_id}/suggestions", params=asked)
    assert (reply.status_code, reply.json()["error"]) == (status, code)
    assert detail in reply.json()["detail"]


async def test_a_departed_flight_and_a_full_one_have_no_suggestions(service: Service, pool: Pool) -> None:
    await pool.execute("UPDATE seats SET status = 'blocked', version = 2 WHERE flight_id = $1", SK900)
    assert await _suggest(service, SK900, count=1) == []
    await pool.execute("UPDATE flights SET departs_at = clock_timestamp() - interval '1 s' WHERE id = $1", FL101)
    assert await _suggest(service, count=1) == []
