"""Outages of servers under open streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from skyhold.bootstrap.api import open_api
from skyhold.settings import Settings
from skyhold_local.embedded.child import Child
from skyhold_local.embedded.servers import Servers
from support.absences import Return, killed, stopped
from support.activity_runner import ActivityRunner, change
from support.bookings import new_order_id
from support.streams import Api, SeatView, Stream, served

pytestmark = pytest.mark.rest

SOON = 10.0
"""Earlier than the periodic resync of healthy times, and long enough for a busy machine."""


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    with capture_logs() as lines:
        yield lines


async def hear(stream: Stream, view: SeatView, seat: str, status: str, *, within: float = 10.0) -> None:
    """Read until the seat has this status."""
    async with asyncio.timeout(within):
        while view.seats.get(seat, ("", 0))[0] != status:
            event = await stream.next(within=within)
            assert event is not None, "the stream ended"
            view.apply(event)


@pytest.mark.parametrize("away", [killed, stopped])
async def test_without_redis_changes_are_told_a_little_later(
    away: Callable[[Child], Return],
    own_servers: Servers,
    *,
    api: Api,
    desk: ActivityRunner,
    flight: str,
    logged: list[Any],
) -> None:
    stream, view = await api.watch(flight), SeatView()
    await hear(stream, view, "1A", "available")
    order = await desk.hold(flight, ["1A"], guest_hash=new_order_id())
    await hear(stream, view, "1A", "reserved")
    logged.clear()
    bring_back = away(own_servers.redis)
    try:
        order = await desk.do(change(order, ["2A"]))
        await hear(stream, view, "2A", "reserved", within=SOON)
        newcomer, of_newcomer = await api.watch(flight), SeatView()
        await hear(newcomer, of_newcomer, "2A", "reserved")
        follower = await api.follow(order.id)
        assert (await follower.next()) is not None
        await desk.pay(order)
        await hear(stream, view, "2A", "booked", within=SOON)
        assert [event.data["status"] for event in await follower.rest()][-1] == "CONFIRMED"
        said = [line["event"] for line in logged if line["log_level"] == "warning"]
    finally:
        bring_back()
    await desk.hold(flight, ["3A"])
    await hear(stream, view, "3A", "reserved")
    assert len(said) == len(set(said)) > 0, "each of those who noticed said it once"


async def test_a_restart_of_redis_is_not_noticed(
    own_servers: Servers, api: Api, desk: ActivityRunner, flight: str
) -> None:
    stream, view = await api.watch(flight), SeatView()
    await hear(stream, view, "1A", "available")
    for seat in ("1A", "2A", "3A"):
        own_servers.redis.kill()
        own_servers.redis.start()
        await desk.hold(flight, [seat])
        await hear(stream, view, seat, "reserved", within=SOON)


@pytest.mark.parametrize("away", [killed, stopped])
async def test_streams_stay_open_without_postgresql_and_go_on_when_it_is_back(
    away: Callable[[Child], Return], own_servers: Servers, api: Api, desk: ActivityRunner, flight: str
) -> None:
    order = await desk.hold(flight, ["1A"], guest_hash=new_order_id())
    stream, follower = await api.watch(flight), await api.follow(order.id)
    view = SeatView()
    await hear(stream, view, "1A", "reserved")
    assert await follower.next() is not None
    bring_back = away(own_servers.postgres)
    try:
        # The known state of a watched flight is sent during the outage, too.
        late, of_late = await api.watch(flight), SeatView()
        await hear(late, of_late, "1A", "reserved")
    finally:
        bring_back()

    await _back(desk)
    await desk.pay(order)
    await hear(stream, view, "1A", "booked")
    assert [event.data["status"] for event in await follower.rest()][-1] == "CONFIRMED"


async def test_an_api_that_starts_without_redis_tells_of_changes_and_hears_of_them_when_it_is_there(
    own_servers: Servers, settings: Settings, desk: ActivityRunner, flight: str
) -> None:
    own_servers.redis.kill()
    try:
        async with open_api(settings) as app, served(app) as api:
            stream, view = await api.watch(flight), SeatView()
            await hear(stream, view, "1A", "available")
            await desk.hold(flight, ["1A"])
            await hear(stream, view, "1A", "reserved", within=SOON)
            own_servers.redis.start()
            await desk.hold(flight, ["2A"])
            await hear(stream, view, "2A", "reserved", within=SOON)
    finally:
        if not own_servers.redis.is_running():
            own_servers.redis.start()


async def _back(desk: ActivityRunner) -> None:
    """Wait until PostgreSQL answers."""
    async with asyncio.timeout(30):
        while True:
            try:
                await desk.pool.fetchval("SELECT 1")
            except Exception:  # noqa: BLE001 - unavailable, starting, or a broken connection
                await asyncio.sleep(0.05)
            else:
                return
