"""I5: the audit finds every difference between seat locks and holds, except changes in flight."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import pytest
from redis.client import NEVER_DECODE

from skyhold.audit.audit import Audit
from skyhold.audit.findings import Graces
from skyhold.audit.locks import SeatLockReader
from skyhold.domain.seats import SeatKey
from skyhold.readers.seat_locks import lock_name
from skyhold_local.embedded.servers import Servers
from support.audits import audit_of, graces, sentences, told
from support.bookings import FL101, Bookings, until

pytestmark = pytest.mark.rest

MINUTE = 60_000


@dataclass(frozen=True)
class Scene:
    """Three orders: one that holds 2A, one that bought 1A, one that was cancelled and had 4A."""

    world: Bookings
    held: str
    confirmed: str
    cancelled: str

    async def lock(self, seat: str, value: str | bytes) -> None:
        await self.world.redis.set(lock_name(SeatKey(FL101, seat)), value, px=MINUTE)

    async def restore(self) -> None:
        """Restore the locks that the bookings left."""
        keys = await cast("Any", self.world.redis).execute_command("KEYS", "seat:lock:*", **{NEVER_DECODE: True})
        if keys:
            await self.world.redis.delete(*keys)
        await self.lock("2A", self.held)


Break = Callable[[Scene], Awaitable[object]]

BROKEN: dict[str, tuple[Break, Callable[[Scene], str | None], str]] = {
    "a lock that lives for ever": (
        lambda scene: scene.world.redis.persist(lock_name(SeatKey(FL101, "2A"))),
        lambda scene: scene.held,
        "the lock has no time to live",
    ),
    "a lock that lives for ever and has no hold": (
        lambda scene: scene.world.redis.set(lock_name(SeatKey(FL101, "9C")), scene.cancelled),
        lambda scene: scene.cancelled,
        "the lock has no time to live; the lock is of an order that is FAILED, the seat is not held by it",
    ),
    "a lock of no order": (
        lambda scene: scene.lock("9C", "nobody"),
        lambda _: "nobody",
        "the lock is of an order that is missing, the seat is not held by it",
    ),
    "a lock that a cancelled order kept": (
        lambda scene: scene.lock("4A", scene.cancelled),
        lambda scene: scene.cancelled,
        "the lock is of an order that is FAILED, the seat is not held by it",
    ),
    "a lock that a confirmed order kept": (
        lambda scene: scene.lock("1A", scene.confirmed),
        lambda scene: scene.confirmed,
        "the lock is of an order that is CONFIRMED, the seat is not held by it",
    ),
    "a lock that an order has on a seat that it does not hold": (
        lambda scene: scene.lock("9D", scene.held),
        lambda scene: scene.held,
        "the lock is of an order that is SEATS_RESERVED, the seat is not held by it",
    ),
    "a lock of another on a held seat": (
        lambda scene: scene.lock("2A", scene.cancelled),
        lambda scene: scene.cancelled,
        "the lock is of an order that is FAILED, the seat is held by {held}",
    ),
    "a lock on a seat that there is not": (
        lambda scene: scene.lock("99K", scene.held),
        lambda scene: scene.held,
        "the lock is for a seat that does not exist",
    ),
    "a lock with a name that means nothing": (
        lambda scene: scene.world.redis.set("seat:lock:2A", scene.held, px=MINUTE),
        lambda scene: scene.held,
        "the lock is for a seat that does not exist",
    ),
    "a lock with a name that is no text": (
        lambda scene: scene.world.redis.set(b"seat:lock:\xff", scene.held, px=MINUTE),
        lambda scene: scene.held,
        "the lock is for a seat that does not exist",
    ),
    "a lock with a value that means nothing": (
        lambda scene: scene.lock("9C", b"\xff\x00 \xfe"),
        lambda _: None,
        "the lock's value is not an order id",
    ),
    "a lock that is a list": (
        lambda scene: _list(scene, lock_name(SeatKey(FL101, "9C"))),
        lambda _: None,
        "the lock's value is not an order id",
    ),
    "a hold without its lock": (
        lambda scene: scene.world.redis.delete(lock_name(SeatKey(FL101, "2A"))),
        lambda scene: scene.held,
        "seat 2A is held without a lock",
    ),
    "a Redis that was wiped": (
        lambda scene: scene.world.redis.flushall(),
        lambda scene: scene.held,
        "seat 2A is held without a lock",
    ),
}


@pytest.fixture
async def scene(world: Bookings) -> Scene:
    held, confirmed, cancelled = await asyncio.gather(*(world.hold([seat]) for seat in ("2A", "1A", "4A")))
    await world.bookings.pay(confirmed.order_id, "99999")
    await world.bookings.cancel(cancelled.order_id)
    await asyncio.gather(confirmed.result(), cancelled.result())
    return Scene(world, held.order_id, confirmed.order_id, cancelled.order_id)


async def test_every_lock_and_every_hold_that_parted_is_found_once_and_nothing_else(scene: Scene) -> None:
    for name, (break_it, order_of, sentence) in BROKEN.items():
        assert told(await audit_of(scene.world).run()) == [], f"before {name}"

        await break_it(scene)
        report = await audit_of(scene.world).run()

        assert told(report) == [("I5", order_of(scene))], name
        assert sentences(report) == [sentence.format(held=scene.held)], name
        await scene.restore()


async def test_more_locks_than_one_batch_has_are_all_looked_at(scene: Scene) -> None:
    pipeline = scene.world.redis.pipeline()
    for row in range(1, 100):
        for letter in "ABCDEFGHJK":
            pipeline.set(
                f"seat:lock:{{00000000-0000-0000-0000-00000000000{row % 10}}}:{row}{letter}", "nobody", px=MINUTE
            )
    await pipeline.execute()

    assert told(await audit_of(scene.world).run()) == [("I5", "nobody")] * 990


async def test_a_lock_without_a_hold_counts_when_its_grace_is_over_and_not_if_it_goes_before(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    patience = graces(second_look=0.1, lock=0.6)
    await scene.lock("9C", "nobody")

    with monkeypatch.context() as patched:
        _in_the_second_pause(patched, lambda: scene.world.redis.delete(lock_name(SeatKey(FL101, "9C"))))
        assert told(await audit_of(scene.world, graces(second_look=0.1, lock=30)).run()) == []

    await scene.lock("9C", "nobody")
    began = asyncio.get_running_loop().time()
    assert told(await audit_of(scene.world, patience).run()) == [("I5", "nobody")]
    assert asyncio.get_running_loop().time() - began >= 0.6


async def test_the_lock_of_an_order_that_ended_long_ago_needs_no_more_than_a_second_look(scene: Scene) -> None:
    await scene.lock("4A", scene.cancelled)
    await _let_it_be_old(scene, scene.cancelled)
    pauses: list[float] = []

    async with _looking(scene, graces(second_look=0.1, lock=30), pauses) as looking:
        assert told(await looking) == [("I5", scene.cancelled)]
    assert pauses == [0.1]


async def test_a_hold_that_gets_its_lock_back_within_its_grace_does_not_count(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.world.redis.flushall()
    _in_the_second_pause(monkeypatch, scene.restore)

    assert told(await audit_of(scene.world, graces(second_look=0.1, lock=0.2, repair=30)).run()) == []


async def test_what_redis_forgot_is_given_the_time_of_a_repair_however_old_the_hold(scene: Scene) -> None:
    await _let_it_be_old(scene, scene.held)
    await scene.world.redis.flushall()
    began = asyncio.get_running_loop().time()

    assert told(await audit_of(scene.world, graces(second_look=0.1, lock=0.2, repair=0.6)).run()) == [
        ("I5", scene.held)
    ]
    assert asyncio.get_running_loop().time() - began >= 0.8


async def test_what_redis_should_still_have_needs_no_more_than_a_second_look(scene: Scene) -> None:
    await _let_it_be_old(scene, scene.held)
    await _until_redis_has_kept_its_data_for(scene, 0.5)
    await scene.world.redis.delete(lock_name(SeatKey(FL101, "2A")))
    pauses: list[float] = []

    async with _looking(scene, graces(second_look=0.1, lock=0.2, repair=0.2), pauses) as looking:
        assert told(await looking) == [("I5", scene.held)]
    assert pauses == [0.1]


async def test_a_hold_that_lapsed_may_outlive_its_lock_and_orders_of_another_namespace_are_not_judged(
    scene: Scene,
) -> None:
    await scene.world.redis.delete(lock_name(SeatKey(FL101, "2A")))
    assert told(await audit_of(scene.world).run()) == [("I5", scene.held)]
    await scene.world.pool.execute("UPDATE seats SET held_until = clock_timestamp() WHERE order_id = $1", scene.held)
    assert told(await audit_of(scene.world).run()) == []

    await scene.world.pool.execute(
        "UPDATE seats SET held_until = held_until + interval '1 h' WHERE order_id = $1", scene.held
    )
    await scene.lock("9C", scene.held)
    await scene.world.pool.execute("UPDATE orders SET namespace_id = 'another' WHERE id = $1", scene.held)
    report = await audit_of(scene.world).run()
    assert told(report) == []
    assert report.foreign_orders == 1


async def test_redis_remembers_since_it_was_wiped_or_started(scene: Scene, servers: Servers) -> None:
    locks = SeatLockReader(scene.world.redis)
    kept = await _until_redis_has_kept_its_data_for(scene, 0.1)
    await scene.world.redis.flushall()
    wiped = await locks.remembers_for()
    await scene.world.redis.xadd("{skyhold}:events", {"epoch": "long ago"}, id="1-1")
    await _until_redis_has_kept_its_data_for(scene, 2)
    servers.redis.kill()
    killed_at = time.monotonic()
    servers.redis.start()
    started = await locks.remembers_for()
    # Redis counts whole seconds.
    since_the_start = timedelta(seconds=time.monotonic() - killed_at + 1)

    assert kept < timedelta(seconds=100), "the scene is not older"
    assert wiped == timedelta(0)
    assert started <= since_the_start


async def _until_redis_has_kept_its_data_for(scene: Scene, seconds: float) -> timedelta:
    """Wait, since the test before this one may have started Redis just now, and return for how long it has."""
    locks = SeatLockReader(scene.world.redis)

    async def kept() -> timedelta | None:
        found = await locks.remembers_for()
        return found if found >= timedelta(seconds=seconds) else None

    return await until(kept, what="Redis to have kept its data")


async def test_without_redis_the_rest_is_told_and_the_locks_are_not_said_to_hold(
    scene: Scene, servers: Servers
) -> None:
    await scene.world.pool.execute("UPDATE orders SET namespace_id = 'another' WHERE id = $1", scene.held)
    servers.redis.kill()
    try:
        report = await audit_of(scene.world).run()
    finally:
        servers.redis.start()

    assert report.findings == ()
    assert dict(report.unchecked) == {"I5": "Redis does not answer"}
    assert [invariant for invariant in report.checked if not report.holds(invariant)] == []
    assert not report.holds(next(iter(report.unchecked)))
    assert report.foreign_orders == 1


async def test_locks_are_not_said_to_hold_when_redis_goes_between_the_looks(scene: Scene, servers: Servers) -> None:
    await scene.world.redis.delete(lock_name(SeatKey(FL101, "2A")))
    pauses: list[float] = []

    async with _looking(scene, graces(second_look=0.5), pauses) as looking:
        await until(lambda: _has(pauses, 1), what="the pause before the second look")
        servers.redis.kill()
        try:
            report = await looking
        finally:
            servers.redis.start()

    assert report.findings == ()
    assert dict(report.unchecked) == {"I5": "Redis does not answer"}


async def _list(scene: Scene, name: str) -> None:
    await scene.world.redis.rpush(name, "a")
    await scene.world.redis.pexpire(name, MINUTE)


async def _let_it_be_old(scene: Scene, order_id: str) -> None:
    await scene.world.pool.execute("UPDATE orders SET updated_at = updated_at - interval '1 h' WHERE id = $1", order_id)


@contextlib.asynccontextmanager
async def _looking(scene: Scene, patience: Graces, pauses: list[float]) -> AsyncIterator[asyncio.Task]:  # type: ignore[type-arg]
    audit = audit_of(scene.world, patience, on_wait=lambda _, pause: pauses.append(pause.total_seconds()))
    looking = asyncio.create_task(audit.run())
    try:
        yield looking
    finally:
        await asyncio.wait({looking})


def _in_the_second_pause(monkeypatch: pytest.MonkeyPatch, act: Callable[[], Awaitable[object]]) -> None:
    """Run an act between the second look and the third, however slow the machine is."""
    pauses: list[int] = []

    async def pause(_: Audit, number: int, seconds: timedelta) -> None:
        pauses.append(number)
        if len(pauses) == 2:
            await act()
        await asyncio.sleep(min(seconds.total_seconds(), 0.1))

    monkeypatch.setattr(Audit, "_wait", pause)


async def _has(pauses: list[float], number: int) -> bool:
    return len(pauses) >= number
