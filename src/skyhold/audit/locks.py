"""I5, the seat locks: the keys in Redis, compared with the seats that open orders hold in the ledger.

Owns the audit's reads of Redis. Locks are read by SCAN in batches; no read changes or extends a lock.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import timedelta
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from skyhold.audit.findings import Graces, Invariant, ServerAway, Sighting, Violation
from skyhold.domain.seats import SeatKey
from skyhold.events.feed import STREAM
from skyhold.queries.audit import FINDINGS_LIMIT, AuditQueries, HeldSeat, LockedSeat
from skyhold.readers.seat_locks import SeatLock, lock_name, scan_locks

BATCH = 500
"""Number of holds whose locks are read in one round trip."""


class SeatLockReader:
    """Reads the seat locks, and the time since Redis lost its data last."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def batches(self) -> AsyncIterator[list[SeatLock]]:
        """Yield all locks in batches; one that is set or deleted meanwhile may be missing, another may appear twice.

        Raises:
            ServerAway: Redis does not answer.
        """
        with _answered():
            async for batch in scan_locks(self._redis):
                yield batch

    async def missing(self, names: Sequence[str]) -> list[bool]:
        """Return for each lock whether it is missing.

        Raises:
            ServerAway: Redis does not answer.
        """
        with _answered():
            pipeline = self._redis.pipeline(transaction=False)
            for name in names:
                pipeline.exists(name)
            return [not is_there for is_there in await pipeline.execute()]

    async def remembers_for(self) -> timedelta:
        """Return the minimum time for which Redis has kept its data: it was neither started nor wiped since.

        Only the stream of events shows a wipe, since it restarts after it; its oldest entry has the time in its id.

        Raises:
            ServerAway: Redis does not answer.
        """
        with _answered():
            server = await cast("Any", self._redis.info("server"))
            oldest = await cast("Any", self._redis.xrange(STREAM, count=1))
            seconds, microseconds = await cast("Any", self._redis.time())
        if not oldest:
            return timedelta(0)
        began = timedelta(milliseconds=int(str(oldest[0][0]).partition("-")[0]))
        now = timedelta(seconds=int(seconds), microseconds=int(microseconds))
        return max(timedelta(0), min(now - began, timedelta(seconds=int(server["uptime_in_seconds"]))))


async def find_locks(
    queries: AuditQueries, locks: SeatLockReader, *, namespace_id: str | None, graces: Graces
) -> list[Sighting]:
    """Return every lock without a hold or without a time to live, and every hold without a lock.

    Orders of other Temporal namespaces are left out; with None, when our namespace is unknown, all are checked.

    Raises:
        ServerAway: Redis does not answer.
    """
    return [
        *await _find_wrong_locks(queries, locks, namespace_id, graces),
        *await _find_bare_holds(queries, locks, namespace_id, graces),
    ]


async def _find_wrong_locks(
    queries: AuditQueries, locks: SeatLockReader, namespace_id: str | None, graces: Graces
) -> list[Sighting]:
    sightings: list[Sighting] = []
    async for batch in locks.batches():
        seats = await queries.locked_seats([lock.seat for lock in batch], [lock.owner for lock in batch])
        for lock, seat in zip(batch, seats, strict=True):
            if namespace_id is not None and seat.namespace_id not in {None, namespace_id}:
                continue
            if faults := list(_faults(lock, seat)):
                subject = lock.name if lock.name.isprintable() else ascii(lock.name)
                finding = Violation(Invariant.I5, lock.owner, seat.step, subject, "; ".join(faults))
                # An order that has ended needs no locks, so its lock has been wrong since then.
                has_ended = seat.status is not None and seat.status.is_terminal
                age = seat.unchanged_for if has_ended else timedelta(0)
                sightings.append(Sighting(finding, age, graces.lock))
        if len(sightings) >= FINDINGS_LIMIT:
            break
    return sightings


def _faults(lock: SeatLock, seat: LockedSeat) -> Iterator[str]:
    if not lock.has_ttl:
        yield "the lock has no time to live"
    if lock.owner is None:
        yield "the lock's value is not an order id"
    elif not seat.is_seat:
        yield "the lock is for a seat that does not exist"
    elif seat.owner_id != lock.owner or seat.status is None or seat.status.is_terminal:
        held = f"held by {seat.owner_id}" if seat.owner_id not in {None, lock.owner} else "not held by it"
        yield f"the lock is of an order that is {seat.status or 'missing'}, the seat is {held}"


async def _find_bare_holds(
    queries: AuditQueries, locks: SeatLockReader, namespace_id: str | None, graces: Graces
) -> list[Sighting]:
    bare: list[HeldSeat] = []
    last = None
    while len(bare) < FINDINGS_LIMIT and (page := await queries.holds(namespace_id=namespace_id, after=last)):
        for start in range(0, len(page), BATCH):
            holds = page[start : start + BATCH]
            missing = await locks.missing([_name_of(hold) for hold in holds])
            bare += [hold for hold, is_missing in zip(holds, missing, strict=True) if is_missing]
        last = page[-1]
    if not bare:
        return []
    remembers_for = await locks.remembers_for()
    return [
        Sighting(
            Violation(
                Invariant.I5, hold.order_id, hold.step, _name_of(hold), f"seat {hold.seat_id} is held without a lock"
            ),
            min(hold.unchanged_for, remembers_for),
            graces.lock + graces.repair,
        )
        for hold in bare
    ]


def _name_of(hold: HeldSeat) -> str:
    return lock_name(SeatKey(str(hold.flight_id), hold.seat_id))


@contextlib.contextmanager
def _answered() -> Iterator[None]:
    try:
        yield
    except ResponseError as refusal:
        raise ServerAway(f"Redis refuses the read: {str(refusal).partition(' ')[0]}") from refusal
    except (RedisError, OSError, TimeoutError) as error:
        raise ServerAway("Redis does not answer") from error
