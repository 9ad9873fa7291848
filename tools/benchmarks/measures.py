"""The measurements (docs/rules.md#numbers), each with its target."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from itertools import chain, count
from typing import Any

import httpx
from temporalio.client import Client

from skyhold.domain.payments import PaymentCode
from skyhold.domain.requests import HoldRequest, Payment
from skyhold.messages import PROCEED_TO_PAYMENT, workflow_id_of
from skyhold.workflows.booking_client import COMMAND_TIMEOUT, BookingClient
from skyhold.workflows.payloads import DATA_CONVERTER
from tools.benchmarks import floor
from tools.benchmarks.crowds import Crowd
from tools.benchmarks.processes import Bench

_FLIGHT = "550e8400-e29b-41d4-a716-44665544000{}"
_SMALL = [
    (f, f"{row}{letter}")
    for f, rows in ((1, 20), (2, 20), (3, 15))
    for row in range(1, rows + 1)
    for letter in "ABCDEF"
]

HOLDS_A_BLOCK = 20
BLOCKS = 6
CUSTOMERS = 16
BOOKINGS = 160
CONFLICTS = 4000
HISTORY_LIMIT = 24
PAGES = 500
SEAT_CHANGES = 10


@dataclass(frozen=True)
class Measured:
    """A number, its target, and whether it meets it."""

    what: str
    number: str
    wanted: str
    is_met: bool


async def measure_holds(bench: Bench) -> Measured:
    """Hold over HTTP, one customer at a time, in blocks that alternate with the floor's."""
    seats, took = _seats(), {"ours": list[float](), "floor": list[float]()}
    async with httpx.AsyncClient(timeout=10) as http:

        async def hold() -> None:
            flight, seat = next(seats)
            http.cookies.clear()
            reply = await http.post(f"{bench.api}/api/orders", json={"flightId": flight, "seats": [seat]})
            assert reply.status_code == 201, reply.text

        async def hold_on_floor() -> None:
            wish = {"orderId": str(uuid.uuid4()), "flightId": _FLIGHT.format(1), "seats": ["1A"]}
            reply = await http.post(f"{bench.floor}/api/orders", json=wish)
            assert reply.status_code == 201, reply.text

        for block in range(BLOCKS + 1):
            for name, act in (("ours", hold), ("floor", hold_on_floor)):
                times = [await _timed(act) for _ in range(HOLDS_A_BLOCK)]
                took[name] += times if block else []  # the first block warms up
    ours, base = (statistics.median(times) * 1000 for times in took.values())
    number = f"{ours / base:.2f} ({ours:.1f} ms to {base:.1f} ms)"
    return Measured("hold over HTTP, p50, to the floor", number, "1.6 or less", ours / base <= 1.6)


async def measure_bookings(bench: Bench) -> list[Measured]:
    """Hold and pay through Temporal alone, many customers at once, alternating with the floor; count history events."""
    client = await Client.connect(bench.servers.temporal_address, data_converter=DATA_CONVERTER)
    booking, seats = BookingClient(client, task_queue=bench.task_queue), _seats(skip=(BLOCKS + 1) * HOLDS_A_BLOCK)
    order_ids = (str(uuid.uuid4()) for _ in count())

    async def book() -> None:
        order_id, (flight, seat) = next(order_ids), next(seats)
        await booking.hold(HoldRequest(order_id, flight, (seat,)))
        await booking.send(order_id, Payment(PaymentCode("99999")))
        result = await client.get_workflow_handle(workflow_id_of(order_id), result_type=dict).result()
        assert result["status"] == "CONFIRMED"

    async def book_on_floor() -> None:
        order_id = next(order_ids)
        await floor.hold(client, order_id, {"seats": ["1A"]}, task_queue=bench.floor_queue)
        handle = client.get_workflow_handle(f"floor-{order_id}", result_type=dict)
        await handle.execute_update(PROCEED_TO_PAYMENT, {}, result_type=dict, rpc_timeout=COMMAND_TIMEOUT)
        await handle.result()

    rates: dict[str, list[float]] = {"ours": [], "floor": []}
    for _ in range(2):
        for name, act in (("ours", book), ("floor", book_on_floor)):
            rates[name].append(await _rate(act, BOOKINGS // 2, CUSTOMERS))
    ours, base = (statistics.mean(found) for found in rates.values())
    last = await client.list_workflows("WorkflowType = 'BookingWorkflow' AND ExecutionStatus = 'Completed'").__anext__()
    events = len((await client.get_workflow_handle(last.id).fetch_history()).events)
    return [
        Measured(
            "confirmed bookings a second, to the floor",
            f"{ours / base:.2f} ({ours:.0f} to {base:.0f})",
            "0.6 or more",
            ours / base >= 0.6,
        ),
        Measured("history events of a booking", str(events), f"{HISTORY_LIMIT} or fewer", events <= HISTORY_LIMIT),
    ]


async def measure_conflicts(bench: Bench) -> Measured:
    """Request seats that are held, over keep-alive connections; no workflow starts."""
    wish = {"flightId": _FLIGHT.format(5), "seats": ["30A", "30B"]}
    async with httpx.AsyncClient(timeout=10) as http:
        assert (await http.post(f"{bench.api}/api/orders", json=wish)).status_code == 201
    client = await Client.connect(bench.servers.temporal_address)
    before = (await client.count_workflows()).count
    await _refusals(bench, wish, CONFLICTS // 4)
    rate = await _refusals(bench, wish, CONFLICTS)
    begun = (await client.count_workflows()).count - before
    number = f"{rate:.0f}, {begun} workflows started"
    return Measured("conflicts a second, 300 seats", number, "1000 or more, none", rate >= 1000 and begun == 0)


async def measure_pages(bench: Bench) -> Measured:
    """Change a seat while many pages watch its flight: the time from the request until each page has the event."""
    url, flight = httpx.URL(bench.api), _FLIGHT.format(5)
    async with httpx.AsyncClient(timeout=10) as http:
        order = (await http.post(f"{bench.api}/api/orders", json={"flightId": flight, "seats": ["40A"]})).json()
        change = f"{bench.api}/api/orders/{order['orderId']}/seats"
        took: list[float] = []
        with Crowd(url.host, url.port or 80, flight, count=PAGES) as crowd:
            await asyncio.to_thread(crowd.hear, b"event: snapshot")
            for seat in (f"{row}K" for row in range(31, 31 + SEAT_CHANGES)):
                mark = f'"id":"{seat}","status":"reserved"'.encode()
                hearing = asyncio.create_task(asyncio.to_thread(crowd.hear, mark))
                asked_at = time.perf_counter()
                assert (await http.put(change, json={"seats": [seat]})).status_code == 200
                took += [heard_at - asked_at for heard_at in await hearing]
    percentiles = statistics.quantiles(took, n=100)
    number = f"p50 {percentiles[49] * 1000:.0f} ms, p99 {percentiles[98] * 1000:.0f} ms"
    return Measured(f"seat change requested to shown on {PAGES} pages", number, "p99 300 ms", percentiles[98] <= 0.3)


async def _refusals(bench: Bench, wish: dict[str, Any], many: int) -> float:
    # Written by hand, because a client library would take longer than the measured work.
    url, body = httpx.URL(bench.api), json.dumps(wish).encode()
    head = f"POST /api/orders HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    asked, left = head.encode() + b"\r\n\r\n" + body, iter(range(many))

    async def customer() -> None:
        reader, writer = await asyncio.open_connection(url.host, url.port)
        for _ in left:
            writer.write(asked)
            said = (await reader.readuntil(b"\r\n\r\n")).lower()
            assert said.startswith(b"http/1.1 409"), said
            length = said.partition(b"content-length: ")[2].partition(b"\r")[0]
            await reader.readexactly(int(length))
        writer.close()

    started_at = time.perf_counter()
    await asyncio.gather(*(customer() for _ in range(CUSTOMERS)))
    return many / (time.perf_counter() - started_at)


async def _rate(act: Callable[[], Awaitable[None]], many: int, at_once: int) -> float:
    left = iter(range(many))

    async def customer() -> None:
        for _ in left:
            await act()

    started_at = time.perf_counter()
    await asyncio.gather(*(customer() for _ in range(at_once)))
    return many / (time.perf_counter() - started_at)


async def _timed(act: Callable[[], Awaitable[None]]) -> float:
    started_at = time.perf_counter()
    await act()
    return time.perf_counter() - started_at


def _seats(skip: int = 0) -> Iterator[tuple[str, str]]:
    """Yield each flight once, with an available seat."""
    found = chain(((_FLIGHT.format(number), seat) for number, seat in _SMALL))
    for _ in range(skip):
        next(found)
    return found
