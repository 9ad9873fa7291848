"""Seat locks on real Valkey: owned, all or none, always with a TTL; and the cost of an unavailable Redis."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest
import structlog
from hypothesis import example, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from skyhold.domain.seats import LockAttempt, SeatKey, keys_of
from skyhold.readers.seat_locks import lock_name
from skyhold.stores import seat_locks
from skyhold.stores.seat_locks import SeatLocks, open_redis
from skyhold_local.embedded.servers import Servers
from support.patience import patient_redis

FLIGHT = "550e8400-e29b-41d4-a716-446655440001"
SEATS = ["1A", "1B", "1C", "1D"]
SLACK = 20.0
"""Seconds that a busy machine may take for one example; the times to live differ by more than that."""


@dataclass(frozen=True)
class Act:
    """One operation of one order on some locks."""

    verb: str
    order_id: str
    seats: tuple[str, ...]
    ttl: timedelta
    others: frozenset[str] = frozenset()


@pytest.fixture(autouse=True)
def no_locks(redis_url: str) -> None:
    """Remove all locks of the seats of these tests."""


LONG, SHORT = timedelta(seconds=300), timedelta(seconds=100)

acts = st.builds(
    Act,
    st.sampled_from(["acquire", "acquire", "extend", "extend", "release", "assign"]),
    st.sampled_from(["first", "second", "third"]),
    st.lists(st.sampled_from(SEATS), unique=True, max_size=4).map(tuple),
    st.sampled_from([SHORT, timedelta(seconds=200), LONG]),
    st.frozensets(st.sampled_from(["first", "second", "third"])),
)


class Model:
    """The expected locks: seat to owner and seconds to live."""

    def __init__(self) -> None:
        self.locks: dict[str, tuple[str, float]] = {}

    def apply(self, act: Act) -> LockAttempt | None:  # noqa: C901 - one case each
        own = {seat for seat in act.seats if self._owner(seat) == act.order_id}
        free = {seat for seat in act.seats if self._owner(seat) is None}
        match act.verb:
            case "acquire":
                if others := {str(self._owner(seat)) for seat in act.seats} - {act.order_id, "None"}:
                    return LockAttempt(others=frozenset(others))
                for seat in act.seats:
                    self._keep_for(seat, act)
                return LockAttempt(fresh=frozenset(keys_of(FLIGHT, free)))
            case "extend":
                for seat in own:
                    self._keep_for(seat, act)
            case "release":
                for seat in own:
                    del self.locks[seat]
            case "assign":
                for seat in act.seats:
                    if self._owner(seat) in {None, act.order_id} | act.others:
                        self.locks[seat] = (act.order_id, act.ttl.total_seconds())
        return None

    def _owner(self, seat: str) -> str | None:
        return self.locks[seat][0] if seat in self.locks else None

    def _keep_for(self, seat: str, act: Act) -> None:
        lived = self.locks[seat][1] if seat in self.locks else 0.0
        self.locks[seat] = (act.order_id, max(lived, act.ttl.total_seconds()))


@given(script=st.lists(acts, min_size=1, max_size=15))
@example(script=[Act("acquire", "first", ("1A",), LONG), Act("extend", "first", ("1A",), SHORT)])
@example(script=[Act("acquire", "first", ("1A",), LONG), Act("acquire", "first", ("1A", "1B"), SHORT)])
@example(script=[Act("acquire", "first", ("1A",), SHORT), Act("extend", "second", ("1A",), LONG)])
@settings(max_examples=100, deadline=None, database=None)
async def test_locks_do_what_their_model_does(servers: Servers, script: list[Act]) -> None:
    async with _patient(servers.redis_url) as redis:
        await redis.delete(*(lock_name(SeatKey(FLIGHT, seat)) for seat in SEATS))
        locks, model = SeatLocks(redis), Model()
        for act in script:
            expected = model.apply(act)
            call = getattr(locks, act.verb)
            ttl = () if act.verb == "release" else (act.ttl,)
            others = {"others": act.others} if act.verb == "assign" else {}
            assert await call(keys_of(FLIGHT, act.seats), act.order_id, *ttl, **others) == expected, act
            assert not locks.is_away
            for seat in SEATS:
                await _require_same(redis, seat, model.locks.get(seat))


async def _require_same(redis: Redis, seat: str, expected: tuple[str, float] | None) -> None:
    key = lock_name(SeatKey(FLIGHT, seat))
    assert await redis.get(key) == (expected[0] if expected else None)
    if expected:
        seconds = await redis.pttl(key) / 1000
        assert expected[1] - SLACK < seconds <= expected[1], f"{seat}: never without an end, never shortened"


async def test_the_key_of_a_lock_is_the_contracts(servers: Servers) -> None:
    async with _patient(servers.redis_url) as redis:
        await SeatLocks(redis).assign(keys_of(FLIGHT, ["12A"]), "the order", timedelta(seconds=9), others=())
        assert await redis.get("seat:lock:{550e8400-e29b-41d4-a716-446655440001}:12A") == "the order"


async def test_locks_work_again_after_a_restart_that_forgot_the_scripts(servers: Servers) -> None:
    async with _patient(servers.redis_url) as redis:
        locks = SeatLocks(redis)
        await locks.acquire(keys_of(FLIGHT, ["1A"]), "first", timedelta(seconds=100))
        await redis.script_flush()
        await redis.flushdb()
        attempt = await locks.acquire(keys_of(FLIGHT, ["1A"]), "second", timedelta(seconds=100))
        assert attempt == LockAttempt(fresh=frozenset({SeatKey(FLIGHT, "1A")}))


async def test_nothing_to_lock_asks_nobody() -> None:
    async with _nobody_listens() as url, _redis(url) as redis:
        locks = SeatLocks(redis)
        assert await locks.acquire(keys_of(FLIGHT, []), "first", timedelta(seconds=1)) == LockAttempt()
        assert not locks.is_away


@asynccontextmanager
async def _nobody_listens() -> AsyncIterator[str]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound without listening, so that no other process gets the port
        yield f"redis://127.0.0.1:{taken.getsockname()[1]}"


@asynccontextmanager
async def _never_answers() -> AsyncIterator[str]:
    """Accept every connection, read its input and never answer."""

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            pass
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    async with server:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def _never_accepts() -> AsyncIterator[str]:
    """Listen with a full backlog: the connection itself hangs."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)  # noqa: FBT003 - the standard library's signature
            waiting.connect_ex(listener.getsockname())
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.rest
@pytest.mark.parametrize("absence", [_nobody_listens, _never_answers, _never_accepts])
async def test_an_absent_redis_costs_about_a_second_and_is_said_once(
    absence: Callable[[], AbstractAsyncContextManager[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seat_locks, "PAUSE_SECONDS", 60.0)  # longer than the rest of the test on a busy machine
    async with absence() as url, _redis(url) as redis:
        locks = SeatLocks(redis)
        with structlog.testing.capture_logs() as lines:
            for _ in range(2):
                started = time.monotonic()
                assert await locks.acquire(keys_of(FLIGHT, SEATS), "first", timedelta(seconds=9)) == LockAttempt()
                assert time.monotonic() - started < 5, "without a time-out of its own it is a minute, or for ever"
                assert 0 < locks.breaker.retry_at - time.monotonic() <= seat_locks.PAUSE_SECONDS

                started = time.monotonic()
                for _ in range(50):
                    await locks.assign(keys_of(FLIGHT, SEATS), "first", timedelta(seconds=9), others=())
                    await locks.extend(keys_of(FLIGHT, SEATS), "first", timedelta(seconds=9))
                    await locks.release(keys_of(FLIGHT, SEATS), "first")
                assert time.monotonic() - started < 10, "while Redis is known to be away it is left alone"
                locks.breaker.retry_at = 0.0  # the pause is over
        assert locks.is_away
        assert [line["event"] for line in lines] == ["Redis unavailable; continuing without seat locks"]
        assert all(str(url.rpartition(":")[2]) not in str(line) for line in lines), "an address may hold a password"


async def test_a_redis_that_comes_back_is_used_again_and_said_once(servers: Servers) -> None:
    async with _patient(servers.redis_url) as redis:
        locks = SeatLocks(redis)
        await locks.acquire(keys_of(FLIGHT, ["1A"]), "first", timedelta(seconds=100))
        with structlog.testing.capture_logs() as lines:
            servers.redis.stop()
            try:
                await locks.release(keys_of(FLIGHT, ["1A"]), "first")
                assert locks.is_away
            finally:
                servers.redis.start()
            locks.breaker.retry_at = 0.0
            await locks.assign(keys_of(FLIGHT, ["1A"]), "second", timedelta(seconds=100), others=("first",))
            await locks.extend(keys_of(FLIGHT, ["1A"]), "second", timedelta(seconds=200))
        assert not locks.is_away
        assert await redis.get(lock_name(SeatKey(FLIGHT, "1A"))) == "second"
        assert [line["event"] for line in lines] == [
            "Redis unavailable; continuing without seat locks",
            "Redis available again; locking seats",
        ]


async def test_a_restart_that_nobody_noticed_costs_nothing(servers: Servers) -> None:
    async with _patient(servers.redis_url) as redis:
        locks = SeatLocks(redis)
        # Several connections, all broken by the restart.
        await asyncio.gather(*(locks.acquire(keys_of(FLIGHT, [seat]), "first", LONG) for seat in SEATS))
        servers.redis.stop()
        servers.redis.start()
        await asyncio.gather(
            *(locks.assign(keys_of(FLIGHT, [seat]), "second", LONG, others=("first",)) for seat in SEATS)
        )
        await asyncio.gather(*(locks.extend(keys_of(FLIGHT, [seat]), "second", LONG) for seat in SEATS))
        assert not locks.is_away
        assert {await redis.get(lock_name(SeatKey(FLIGHT, seat))) for seat in SEATS} == {"second"}


def _redis(url: str) -> AbstractAsyncContextManager[Redis]:
    """Return the product's client, with its own timeouts."""
    return aclosing(open_redis(url))


def _patient(url: str) -> AbstractAsyncContextManager[Redis]:
    return aclosing(patient_redis(url))
