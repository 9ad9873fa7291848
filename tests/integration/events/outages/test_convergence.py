"""Whatever happens to a listener, Redis and events: in the end its state equals PostgreSQL's."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace

import pytest
from redis.asyncio import Redis

from skyhold.bootstrap.api import open_api
from skyhold.domain.orders import Order
from skyhold.messages import Outcome
from skyhold.postgresql.pools import Pool
from skyhold.settings import Settings
from skyhold.stores.seat_locks import open_redis
from skyhold.web.live import flights as live_flights
from skyhold.web.live import watches as live
from skyhold_local.embedded.servers import Servers
from support.activity_runner import ActivityRunner, change, fail, reserve
from support.streams import Api, SeatView, Stream, served

pytestmark = pytest.mark.rest

SCHEDULES = 24
ACTS = 40
SEATS = [f"{row}A" for row in range(1, 10)]


@dataclass
class Page:
    """A page that shows a flight, and reconnects by itself when the test allows it."""

    api: Api
    flight: str
    view: SeatView = field(default_factory=SeatView)
    stream: Stream | None = None
    reading: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        if self.stream is None:
            self.stream = await self.api.watch(self.flight, last_event_id=self.view.last_event_id)
            self.reading = asyncio.create_task(self._read(self.stream))

    async def cut(self) -> None:
        """Lose the connection and the data in flight."""
        if self.stream is not None and self.reading is not None:
            self.reading.cancel()
            await asyncio.wait({self.reading})
            self.stream.close()
            self.stream = self.reading = None

    async def _read(self, stream: Stream) -> None:
        while event := await stream.next(within=60):
            self.view.apply(event)


@dataclass
class World:
    """All objects of a schedule."""

    dice: random.Random
    servers: Servers
    redis: Redis
    flight: str
    desk: ActivityRunner
    silent: ActivityRunner
    apis: list[Api]
    steady: Page
    shaky: list[Page]
    orders: list[Order] = field(default_factory=list)

    async def book(self) -> None:
        """Hold, change or release seats, sometimes without an event."""
        desk = self.silent if self.dice.random() < 0.2 else self.desk
        if self.orders and self.dice.random() < 0.6:
            order = self.orders.pop(self.dice.randrange(len(self.orders)))
            if self.dice.random() < 0.5:
                await desk.do(fail(order))
                return
            answer = await desk.ask(change(order, [self.dice.choice(SEATS)]))
        else:
            answer = await desk.ask(reserve(self.flight, [self.dice.choice(SEATS)]))
        if answer.order is not None and answer.outcome in {Outcome.DONE, Outcome.REFUSED}:
            self.orders += [] if answer.order.status.is_terminal else [answer.order]

    async def cut(self) -> None:
        await self.dice.choice(self.shaky).cut()

    async def connect(self) -> None:
        await self.dice.choice(self.shaky).connect()

    async def come_back_elsewhere(self) -> None:
        page = self.dice.choice(self.shaky)
        await page.cut()
        page.api = self.dice.choice(self.apis)
        await page.connect()

    async def wipe_redis(self) -> None:
        await self.redis.flushall()

    async def restart_redis(self) -> None:
        self.servers.redis.kill()
        self.servers.redis.start()

    async def wait(self) -> None:
        """Wait until events in flight have arrived, or some of them."""
        await asyncio.sleep(self.dice.choice([0, 0.005, 0.02, 0.05]))

    def acts(self) -> list[Callable[[], Awaitable[None]]]:
        often = [self.book] * 10 + [self.wait] * 6 + [self.cut, self.connect, self.come_back_elsewhere] * 3
        return self.dice.choices([*often, self.wipe_redis, self.restart_redis], k=ACTS)


@pytest.fixture
async def world(  # the schedule's number is the seed
    schedule: int,
    own_servers: Servers,
    settings: Settings,
    *,
    desk: ActivityRunner,
    api: Api,
    flight: str,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[World]:
    monkeypatch.setattr(live, "RESYNC_SECONDS", 0.5)
    monkeypatch.setattr(live, "RESYNC_SECONDS_WITHOUT_FEED", 0.2)
    monkeypatch.setattr(live, "LONGEST_PAUSE", 0.1)
    monkeypatch.setattr(live_flights, "FRAME_SECONDS", 0.01)
    async with open_api(settings) as app, served(app) as other_api:
        redis = open_redis(settings.redis_url or "")
        steady, shaky = Page(api, flight), [Page(api, flight), Page(other_api, flight)]
        yield World(
            random.Random(schedule),
            own_servers,
            redis,
            flight,
            desk,
            replace(desk, publish=lambda _: None),
            [api, other_api],
            steady,
            shaky,
        )
        for page in (steady, *shaky):
            await page.cut()
        await redis.aclose()


@pytest.mark.parametrize("schedule", range(SCHEDULES))
async def test_every_page_ends_with_what_postgresql_has(world: World, pool: Pool) -> None:
    for page in (world.steady, *world.shaky):
        await page.connect()
    for act in world.acts():
        await act()
    for page in world.shaky:
        await page.connect()
    rows = await pool.fetch("SELECT seat_id, status, version FROM seats WHERE flight_id = $1", world.flight)
    truth = {row["seat_id"]: (row["status"], row["version"]) for row in rows}
    assert any(version > 1 for _, version in truth.values()), "something happened"
    async with asyncio.timeout(30):
        while any(page.view.seats != truth for page in (world.steady, *world.shaky)):  # noqa: ASYNC110 - read by tasks
            await asyncio.sleep(0.01)
