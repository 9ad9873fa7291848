"""Repair of seat locks to match the ledger, one seat at a time, under its row lock, so that no order can take it."""

from __future__ import annotations

from datetime import timedelta

from skyhold.domain.holds import LOCK_MARGIN
from skyhold.domain.seats import SeatKey
from skyhold.postgresql.order_statuses import IS_OPEN
from skyhold.postgresql.pools import Pool
from skyhold.readers.seat_locks import SeatLock
from skyhold.reconciliation_messages import RepairKind, SeatLockFault, SeatLockRepair
from skyhold.stores.seat_locks import SeatLocks

_LOCK_SEAT = "SELECT FROM seats WHERE flight_id = $1 AND seat_id = $2 FOR UPDATE"

# A separate statement: the one that waited for the lock may read orders as they were before the wait.
_SEAT = f"""
SELECT s.order_id, s.held_until - clock_timestamp() AS left,
       s.status = 'reserved' AND o.{IS_OPEN} AS is_held
FROM seats s LEFT JOIN orders o ON o.id = s.order_id WHERE s.flight_id = $1 AND s.seat_id = $2
"""  # noqa: S608 - of constants only


class SeatLockRepairs:
    """Assigns locks to the orders that hold the seats, and releases those of other orders."""

    def __init__(self, pool: Pool, locks: SeatLocks) -> None:
        self._pool = pool
        self._locks = locks

    async def find_locks(self) -> dict[SeatKey, SeatLock] | None:
        """Return every lock by its seat as it is at about this time; None if Redis does not answer."""
        return await self._locks.find_all()

    async def mend(self, fault: SeatLockFault) -> SeatLockRepair | None:
        """Make the seat's lock match the ledger, and return the repair; None if there was nothing to repair.

        A lock that has passed to another order since the fault was found is left alone: that order may be claiming it.
        """
        async with self._pool.transaction() as connection:
            await connection.execute(_LOCK_SEAT, *fault.seat)
            row = await connection.fetchrow(_SEAT, *fault.seat)
            found = await self._locks.look(fault.seat)
            if row is None or found is None:
                return None
            lock = found[0] if found else None
            if (lock.owner if lock else None) != fault.owner or (lock is not None and lock.owner is None):
                return None
            if row["is_held"]:
                return await self._give(fault, row["order_id"], row["left"], lock)
            return await self._take(fault, lock)

    async def _give(
        self, fault: SeatLockFault, order_id: str, left: timedelta, lock: SeatLock | None
    ) -> SeatLockRepair | None:
        if lock is not None and lock.owner == order_id and lock.has_ttl:
            return None
        # A lapsed hold keeps its seats until its order ends, and so does its lock.
        ttl = max(left, timedelta(0)) + LOCK_MARGIN
        others = [lock.owner] if lock and lock.owner else []
        await self._locks.assign([fault.seat], order_id, ttl, others=others)
        trouble = RepairKind.WRONG_LOCK if lock else RepairKind.HOLD_WITHOUT_LOCK
        return SeatLockRepair(trouble, order_id) if await self._has_lock(fault, order_id) else None

    async def _take(self, fault: SeatLockFault, lock: SeatLock | None) -> SeatLockRepair | None:
        if lock is None or lock.owner is None:
            return None
        await self._locks.release([fault.seat], lock.owner)
        is_there = await self._has_lock(fault, lock.owner)
        return SeatLockRepair(RepairKind.LOCK_WITHOUT_HOLD, lock.owner) if is_there is False else None

    async def _has_lock(self, fault: SeatLockFault, order_id: str) -> bool | None:
        """Return whether the order has the seat's lock now; None if Redis does not answer and it is unknown."""
        found = await self._locks.look(fault.seat)
        return None if found is None else any(lock.owner == order_id for lock in found)
