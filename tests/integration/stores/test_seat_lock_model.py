"""Random walks of seat locks on real Valkey, beside a model that is a dict from seat to owner and seconds to live.

Two clients act for several orders, in sequence or concurrently; time passes, locks expire, and everything is wiped.
Real time passes too, so the times to live differ by more than the duration of an example.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant
from redis.asyncio import Redis

from skyhold.domain.seats import LockAttempt, SeatKey, keys_of
from skyhold.readers.seat_locks import lock_name
from skyhold.stores.seat_locks import SeatLocks
from skyhold_local.embedded.servers import Servers
from support.models import SHRINK_SECONDS, Draw, Walker, walk, walk_at_random
from support.patience import patient_redis

pytestmark = pytest.mark.rest

FLIGHT = "00000000-0000-4000-8000-00000000f117"
SEATS = ("1A", "1B", "1C", "1D")
ORDERS = ("first", "second", "third")
GRAIN = 50
"""All times to live are a multiple of this many seconds, so one walk may take nearly as long."""

orders = st.sampled_from(ORDERS)
some_seats = st.lists(st.sampled_from(SEATS), unique=True, max_size=4).map(tuple)


@dataclass(frozen=True)
class Act:
    """One operation of one order on some locks."""

    verb: str
    order_id: str
    seats: tuple[str, ...]
    seconds: int
    others: frozenset[str] = frozenset()

    async def on(self, locks: SeatLocks) -> LockAttempt | None:
        asked = (keys_of(FLIGHT, self.seats), self.order_id)
        ttl = timedelta(seconds=self.seconds)
        match self.verb:
            case "acquire":
                return await locks.acquire(*asked, ttl)
            case "extend":
                await locks.extend(*asked, ttl)
            case "assign":
                await locks.assign(*asked, ttl, others=self.others)
            case "release":
                await locks.release(*asked)
        return None


acts = st.builds(
    Act,
    st.sampled_from(["acquire", "acquire", "acquire", "extend", "release", "assign"]),
    orders,
    some_seats,
    st.sampled_from([2 * GRAIN, 4 * GRAIN, 6 * GRAIN]),
    st.frozensets(orders),
)


@dataclass
class Model:
    """The expected locks: seat to owner and seconds to live."""

    locks: dict[str, tuple[str, int]] = field(default_factory=dict)

    def owner(self, seat: str) -> str | None:
        return self.locks[seat][0] if seat in self.locks else None

    def apply(self, act: Act) -> LockAttempt | None:
        own = {seat for seat in act.seats if self.owner(seat) == act.order_id}
        free = {seat for seat in act.seats if self.owner(seat) is None}
        others = {str(self.owner(seat)) for seat in set(act.seats) - own - free}
        match act.verb:
            case "acquire" if others:
                return LockAttempt(others=frozenset(others))
            case "acquire":
                self._give(own | free, act, is_never_shortened=True)
                return LockAttempt(fresh=frozenset(keys_of(FLIGHT, free)))
            case "extend":
                self._give(own, act, is_never_shortened=True)
            case "assign":
                wrong = {seat for seat in act.seats if self.owner(seat) in act.others}
                self._give(own | free | wrong, act, is_never_shortened=False)
            case "release":
                self.locks = {seat: lock for seat, lock in self.locks.items() if seat not in own}
        return None

    def _give(self, seats: set[str], act: Act, *, is_never_shortened: bool) -> None:
        for seat in seats:
            left = self.locks[seat][1] if seat in self.locks and is_never_shortened else 0
            self.locks[seat] = (act.order_id, max(left, act.seconds))


class Valkey:
    """The server under test, two clients of it, and their event loop."""

    def __init__(self, url: str, stack: ExitStack) -> None:
        self.runner = stack.enter_context(asyncio.Runner(loop_factory=asyncio.new_event_loop))
        self.redis = self._open(url, stack)
        self.clients = [SeatLocks(self._open(url, stack)) for _ in range(2)]

    def _open(self, url: str, stack: ExitStack) -> Redis:
        redis = patient_redis(url)
        stack.callback(lambda: self.runner.run(redis.aclose()))
        return redis

    async def wipe(self) -> None:
        await self.redis.delete(*(lock_name(SeatKey(FLIGHT, seat)) for seat in SEATS))

    async def forget(self) -> None:
        """Delete locks and scripts, as a restart without data does."""
        await self.redis.flushall()
        await self.redis.script_flush()

    async def let_pass(self, seconds: int) -> None:
        """Reduce every lock's time to live by this; locks without time left expire."""
        keys = [lock_name(SeatKey(FLIGHT, seat)) for seat in SEATS]
        lives = await self._all("pttl", keys)
        async with self.redis.pipeline(transaction=False) as pipe:
            for key, life in zip(keys, lives, strict=True):
                if life != -2:
                    pipe.pexpire(key, life - seconds * 1000)
            await pipe.execute()

    async def state(self) -> dict[str, tuple[str, float]]:
        keys = [lock_name(SeatKey(FLIGHT, seat)) for seat in SEATS]
        owners, lives = await self._all("get", keys), await self._all("pttl", keys)
        found = zip(SEATS, owners, lives, strict=True)
        return {seat: (owner, life / 1000) for seat, owner, life in found if owner is not None}

    async def _all(self, command: str, keys: list[str]) -> list[Any]:
        async with self.redis.pipeline(transaction=False) as pipe:
            for key in keys:
                getattr(pipe, command)(key)
            return list(await pipe.execute())


class SeatLockWalk(Walker):
    """Orders that want the locks of four seats."""

    valkey: ClassVar[Valkey]

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.run(self.valkey.wipe())

    def run(self, work: Any) -> Any:
        return self.valkey.runner.run(work)

    def possible_steps(self) -> list[str]:
        return ["act"] * 16 + ["act_at_once"] * 4 + ["let_time_pass"] * 2 + ["be_wiped"]

    def act(self, draw: Draw) -> None:
        act, client = draw(acts), draw(st.sampled_from([0, 1]))
        self.seen[act.verb] += 1
        expected = self.model.apply(act)
        self.seen["refused"] += int(expected is not None and expected.is_contended)
        assert self.run(act.on(self.valkey.clients[client])) == expected, act

    def act_at_once(self, draw: Draw) -> None:
        """Run the operations of two clients concurrently: the result must equal one order of them."""
        pair = (draw(acts), draw(acts))

        async def both() -> tuple[LockAttempt | None, ...]:
            return tuple(
                await asyncio.gather(*(act.on(locks) for act, locks in zip(pair, self.valkey.clients, strict=True)))
            )

        replies, state = self.run(both()), self.run(self.valkey.state())
        outcomes = [self._one_after_the_other(pair, turn) for turn in ((0, 1), (1, 0))]
        fitting = [model for model, expected in outcomes if expected == replies and _agrees(model, state)]
        assert fitting, f"{pair} were answered {replies} and left {state}"
        self.model = fitting[0]
        self.seen["at once"] += 1

    def _one_after_the_other(
        self, pair: tuple[Act, Act], turn: tuple[int, int]
    ) -> tuple[Model, tuple[LockAttempt | None, ...]]:
        model = Model(dict(self.model.locks))
        replies = {place: model.apply(pair[place]) for place in turn}
        return model, (replies[0], replies[1])

    def let_time_pass(self, draw: Draw) -> None:
        seconds = draw(st.sampled_from([GRAIN, 2 * GRAIN, 3 * GRAIN]))
        self.run(self.valkey.let_pass(seconds))
        left = {seat: (owner, life - seconds) for seat, (owner, life) in self.model.locks.items()}
        self.seen["ended"] += sum(life <= 0 for _, life in left.values())
        self.model.locks = {seat: lock for seat, lock in left.items() if lock[1] > 0}

    def be_wiped(self, draw: Draw) -> None:
        del draw
        self.run(self.valkey.forget())
        self.model = Model()
        self.seen["wiped"] += 1

    @invariant()
    def the_locks_are_those_of_the_model(self) -> None:
        state = self.run(self.valkey.state())
        assert all(life > 0 for _, life in state.values()), "a lock without an end"
        assert _agrees(self.model, state), f"{state}, not {self.model.locks}"
        assert not any(client.is_away for client in self.valkey.clients)


def _agrees(model: Model, state: dict[str, tuple[str, float]]) -> bool:
    return set(state) == set(model.locks) and all(
        owner == model.locks[seat][0] and model.locks[seat][1] - GRAIN < life <= model.locks[seat][1]
        for seat, (owner, life) in state.items()
    )


NEVER_LEFT_OUT = {"acquire", "refused", "extend", "assign", "release", "at once", "ended", "wiped"}


@pytest.fixture
def machine(servers: Servers) -> Iterator[type[SeatLockWalk]]:
    with ExitStack() as stack:
        SeatLockWalk.valkey = Valkey(servers.redis_url, stack)
        yield SeatLockWalk


@pytest.mark.timeout(SHRINK_SECONDS)
def test_seat_locks_do_what_their_model_does(machine: type[SeatLockWalk]) -> None:
    walk(machine, walks=40, steps_each=30, until_seen=NEVER_LEFT_OUT)


@pytest.mark.long
@pytest.mark.timeout(SHRINK_SECONDS + 600)
def test_seat_locks_do_what_their_model_does_on_long_walks(machine: type[SeatLockWalk]) -> None:
    walk_at_random(machine, steps=25_000, steps_each=40, within_seconds=600)
    assert all(machine.seen[what] for what in NEVER_LEFT_OUT), machine.seen
