"""A Redis that refuses to write: booking continues without locks, and with them as soon as it writes again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from redis.asyncio import Redis

from skyhold.domain.seats import LockAttempt, SeatKey, keys_of
from skyhold.events.changes import Change
from skyhold.events.feed import STREAM, Publisher
from skyhold.readers.seat_locks import lock_name
from skyhold.stores.seat_locks import SeatLocks, open_redis
from skyhold_local.embedded.data_directory import DataDirectory
from skyhold_local.embedded.valkey import ValkeyServer
from support.bookings import until
from tools.chaos.proxy import Link

FLIGHT = "550e8400-e29b-41d4-a716-446655440001"
LONG = timedelta(seconds=100)


@pytest.fixture
async def redis(own_valkey: ValkeyServer) -> AsyncIterator[Redis]:
    async with aclosing(open_redis(own_valkey.url)) as redis:
        yield redis


async def test_without_memory_seats_are_not_locked_and_locks_are_still_released(
    redis: Redis, own_valkey_admin: Redis
) -> None:
    locks = SeatLocks(redis)
    await locks.acquire(keys_of(FLIGHT, ["1A"]), "first", LONG)
    await own_valkey_admin.config_set("maxmemory", "1mb")
    with structlog.testing.capture_logs() as lines:
        for _ in range(3):
            assert await locks.acquire(keys_of(FLIGHT, ["2A"]), "second", LONG) == LockAttempt()
        await locks.release(keys_of(FLIGHT, ["1A"]), "first")
        assert await redis.exists(lock_name(SeatKey(FLIGHT, "1A"))) == 0
        assert await locks.acquire(keys_of(FLIGHT, ["2A"]), "second", LONG) == LockAttempt()
        await own_valkey_admin.config_set("maxmemory", "0")
        assert (await locks.acquire(keys_of(FLIGHT, ["2A"]), "second", LONG)).fresh == {SeatKey(FLIGHT, "2A")}
    assert not locks.is_away
    assert [(line["event"], line.get("reason")) for line in lines] == [
        ("Redis refuses to write; continuing without seat locks", "out of memory"),
        ("Redis available again; locking seats", None),
    ]


async def test_a_user_without_a_right_is_named_once(own_valkey: ValkeyServer, own_valkey_admin: Redis) -> None:
    await own_valkey_admin.acl_setuser(
        "app", enabled=True, passwords=["+secret"], keys=["*"], commands=["+@all", "-set"]
    )
    async with aclosing(open_redis(f"redis://app:secret@127.0.0.1:{own_valkey.port}/0")) as redis:
        locks = SeatLocks(redis)
        with structlog.testing.capture_logs() as lines:
            for _ in range(3):
                assert await locks.acquire(keys_of(FLIGHT, ["1A"]), "first", LONG) == LockAttempt()
    assert len(lines) == 1
    assert "a right is missing" in lines[0]["reason"]
    assert "'set' command" in lines[0]["reason"]


async def test_a_foreign_key_under_a_locks_name_keeps_no_other_seat_from_its_lock(
    redis: Redis, own_valkey_admin: Redis
) -> None:
    await own_valkey_admin.rpush(lock_name(SeatKey(FLIGHT, "1A")), "what is no lock")
    locks = SeatLocks(redis)
    assert await locks.acquire(keys_of(FLIGHT, ["1A"]), "first", LONG) == LockAttempt()
    assert (await locks.acquire(keys_of(FLIGHT, ["2A"]), "first", LONG)).fresh == {SeatKey(FLIGHT, "2A")}


async def test_a_demoted_redis_is_left_for_the_one_that_writes(
    own_valkey: ValkeyServer, own_valkey_admin: Redis, passable_path: Path
) -> None:
    data = DataDirectory.open(passable_path / "second", is_ephemeral=True)
    second = ValkeyServer(data)
    second.start()
    password = own_valkey.directory.secrets.redis_password
    leads_to = [own_valkey.port]
    link = Link(lambda: ("127.0.0.1", leads_to[0]))
    await link.open()
    try:
        async with (
            aclosing(Redis.from_url(second.url, decode_responses=True)) as second_admin,
            aclosing(open_redis(f"redis://:{password}@127.0.0.1:{link.port}/0")) as redis,
        ):
            await second_admin.config_set("requirepass", password)
            locks, publisher = SeatLocks(redis), Publisher(redis)
            assert (await locks.acquire(keys_of(FLIGHT, ["1A"]), "first", LONG)).fresh == {SeatKey(FLIGHT, "1A")}
            publisher.publish(Change("first", None))
            await _until_published(own_valkey_admin, 1)
            # From now on the address leads to another server; connections to the first stay open.
            await own_valkey_admin.replicaof("127.0.0.1", "1")
            leads_to[0] = second.port
            assert (await locks.acquire(keys_of(FLIGHT, ["2A"]), "second", LONG)).fresh == {SeatKey(FLIGHT, "2A")}
            publisher.publish(Change("second", None))
            await _until_published(second_admin, 1)
            await publisher.aclose()
    finally:
        await link.close()
        second.stop()
        data.close()


async def _until_published(admin: Redis, number: int) -> None:
    async def is_there() -> bool | None:
        entries: Any = await admin.xrange(STREAM)
        changes = [fields for _, fields in entries if "change" in fields]
        return len(changes) >= number or None

    await until(is_there, what="the change to be published")
