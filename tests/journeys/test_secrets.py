"""A payment code, sent in every place that a client can write to, is stored and logged nowhere.

The one exception is Temporal's history of the order that was really paid with it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import asyncpg
import httpx
import pytest
from redis.asyncio import Redis

from support.canaries import CODE, code_told_in
from support.services import TERMINAL, eventually
from support.stacks import Stack, new_stack

pytestmark = pytest.mark.rest

FL202 = "550e8400-e29b-41d4-a716-446655440004"
KEY = f"{CODE}-{CODE}-{CODE}-{CODE}"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with new_stack() as stack:
        settings = {"PAYMENT_FAILURE_RATE": "0", "PAYMENT_SIMULATED_LATENCY": "0s"}
        stack.start(LOG_LEVEL="debug", RATE_LIMIT="100000/minute", CORS_ORIGINS="https://friend.example", **settings)
        yield stack


HEADERS = (
    *("Idempotency-Key", "If-Match", "If-None-Match", "Last-Event-ID", "Authorization", "Cookie", "Origin", "Referer"),
    *("User-Agent", "X-Request-Id", "X-Forwarded-For", "Accept", "Content-Type", "Sec-Fetch-Site", f"X-{CODE}"),
    *("traceparent", "Access-Control-Request-Headers", "Forwarded", "Range"),
)

BODIES: list[Any] = [
    *({"paymentCode": value} for value in (CODE + "0", int(CODE), [CODE], {CODE: CODE}, f" {CODE}", f"{CODE}\n", None)),
    *({"seats": value} for value in (CODE, [CODE], [f"12A{CODE}"], {CODE: CODE}, int(CODE), [[CODE]], [int(CODE)])),
    *({"flightId": value, "seats": ["1A"]} for value in (CODE, int(CODE), [CODE], f"{FL202}{CODE}", f"{CODE}-{FL202}")),
    {"flightId": FL202, "seats": [CODE]},
    {"flightId": FL202, "seats": ["1A"], CODE: CODE, "guestHash": CODE, "orderId": CODE, "giveUpAt": CODE},
    *(CODE, [CODE], int(CODE), {CODE: CODE}, {"paymentCode": f"{CODE}\n", "version": CODE}),
]


async def _send_everywhere(api: httpx.AsyncClient, order_id: str) -> list[httpx.Response]:
    """Send the code in every field of every route, except in the one request that pays with it."""
    ways = [
        ("GET", f"/api/flights/{FL202}"),
        ("POST", "/api/orders"),
        ("PUT", f"/api/orders/{order_id}/seats"),
        ("POST", f"/api/orders/{order_id}/pay"),
        ("GET", f"/api/orders/{order_id}/status"),
        ("GET", "/openapi.json"),
    ]
    body = {"seats": ["1A"], "paymentCode": "1234", "flightId": FL202}
    requests = [
        *(api.build_request(method, way, json=body, headers={name: KEY}) for method, way in ways for name in HEADERS),
        *(api.build_request(method, way, json=wrong) for method, way in ways if method != "GET" for wrong in BODIES),
        *(
            api.build_request(method, way, content=content, headers={"Content-Type": kind})
            for method, way in ways
            if method != "GET"
            for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded")
            for content in (f'{{"paymentCode": "{CODE}"', f"paymentCode={CODE}", CODE, f'"{CODE}"', f"\x00{CODE}\xff")
        ),
        *(
            api.build_request(method, f"/{'/'.join(path)}")
            for method in ("GET", "HEAD", "OPTIONS", "POST", "DELETE", "PATCH", CODE)
            for path in (
                (CODE,),
                ("api", CODE),
                ("api", "flights", CODE),
                ("api", "flights", CODE, "events"),
                *(("api", "orders", CODE, *more) for more in ((), ("status",), ("pay",), ("events",), (CODE,))),
            )
        ),
        *(
            api.build_request("GET", "/api/flights", params={name: CODE})
            for name in ("origin", "destination", "date", "limit", "cursor", CODE)
        ),
        *(api.build_request("GET", "/api/orders", params={name: CODE}) for name in ("limit", "cursor", CODE)),
    ]
    return [await api.send(request) for request in requests]


def _written(reply: httpx.Response) -> str:
    return f"{reply.status_code} {reply.headers!r} {reply.text}"


async def _rows(database_url: str) -> str:
    ledger = await asyncpg.connect(database_url)
    try:
        tables = await ledger.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        rows = [await ledger.fetch(f"SELECT * FROM {table['tablename']}") for table in tables]
        activity = await ledger.fetch("SELECT query FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    finally:
        await ledger.close()
    return "\n".join(repr(tuple(row)) for table in [*rows, activity] for row in table)


async def _redis_contents(redis_url: str) -> str:
    redis = Redis.from_url(redis_url)
    found = []
    async for key in redis.scan_iter(count=1000):
        found += [repr(key), repr(await redis.dump(key))]
        if await redis.type(key) == b"stream":
            found.append(repr(await redis.xrange(key)))
    await redis.aclose()
    return "\n".join(found)


async def test_a_code_sent_everywhere_is_found_nowhere(stack: Stack) -> None:
    endpoints = stack.endpoints
    async with httpx.AsyncClient(base_url=endpoints.api, timeout=20, trust_env=False) as api:
        held = (await api.post("/api/orders", json={"flightId": FL202, "seats": ["9A"]})).json()
        order = f"/api/orders/{held['orderId']}"
        listening = asyncio.create_task(api.get(f"{order}/events"))
        replies = await _send_everywhere(api, held["orderId"])
        # Every request is wrong somewhere, which must never be a 5xx; only a key may have any form.
        faults = [
            (reply.request.method, reply.request.url.path, reply.text) for reply in replies if reply.is_server_error
        ]
        assert faults == []
        paid = await api.post(f"{order}/pay", json={"paymentCode": CODE}, headers={"Idempotency-Key": f"pay-{KEY}"})
        assert paid.status_code == 202, paid.text

        async def has_ended() -> bool:
            return (await api.get(f"{order}/status")).json()["status"] in TERMINAL

        await eventually(has_ended)
        replies += [paid, await asyncio.wait_for(listening, 30)]
        replies += [await api.get(f"{order}{way}") for way in ("", "/status", "/history")]
        replies += [await api.post(f"{order}/pay", json={"paymentCode": CODE})]
    places = {
        "the replies": "\n".join(map(_written, replies)),
        "the ledger": await _rows(endpoints.database_url),
        "Redis": await _redis_contents(endpoints.redis_url),
        "the workflows' names and memos": stack.temporal("workflow", "list", "--output", "json", "--limit", "1000"),
        "endpoints.json": json.dumps(str(endpoints)),
    }
    places |= {str(log): log.read_text(errors="replace") for log in stack.data_dir.rglob("*.log*")}
    assert len(places) > 8, "the logs are where they are looked for"
    assert {place: leak for place, text in places.items() if (leak := code_told_in(text))} == {}
