"""Seat reservation: seat locks around one transaction of the ledger, which decides."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio import activity

from skyhold.activities.publishing import publish_change
from skyhold.domain.flights import canonical_flight_id
from skyhold.domain.holds import LOCK_MARGIN
from skyhold.domain.orders import Policy
from skyhold.domain.seats import LockAttempt, SeatKey, keys_of
from skyhold.events.changes import Publish
from skyhold.messages import Answer, Outcome, RefreshSeatLocks, ReleaseSeats, ReserveSeats, UpdateSeatSelection

if TYPE_CHECKING:
    from skyhold.stores.seat_locks import SeatLocks
    from skyhold.stores.seats import SeatStore


class SeatActivities:
    """Holds seats, changes them, extends the hold for a payment, and releases their locks."""

    def __init__(
        self,
        seats: SeatStore,
        locks: SeatLocks,
        publish: Publish,
        *,
        policy: Policy,
        namespace_id: str,
        has_status_attribute: bool = False,
    ) -> None:
        self.seats = seats
        self.locks = locks
        self.publish = publish
        self.policy = policy
        self.namespace_id = namespace_id
        self.has_status_attribute = has_status_attribute

    @activity.defn(name="ReserveSeats")
    async def reserve_seats(self, request: ReserveSeats) -> Answer:
        """Create the order and hold its seats under the current policy, or leave it FAILED without seats."""
        flight_id = canonical_flight_id(request.hold.flight_id)
        claim = _LockedClaim(
            keys_of(flight_id, request.hold.seats), request.step.order_id, self.policy.hold_time + LOCK_MARGIN
        )
        attempt = await self._lock(claim)
        answer = await self.seats.reserve(
            request,
            flight_id=flight_id,
            policy=self.policy,
            namespace_id=self.namespace_id,
            is_contended=attempt.is_contended,
        )
        answer = publish_change(answer, self.publish)
        await self._settle(claim, attempt, answer)
        return replace(answer, has_status_attribute=self.has_status_attribute)

    @activity.defn(name="UpdateSeatSelection")
    async def update_seat_selection(self, request: UpdateSeatSelection) -> Answer:
        """Give the order exactly these seats and its full time, or leave both as they were."""
        ttl = timedelta(seconds=request.hold_seconds) + LOCK_MARGIN
        claim = _LockedClaim(request.wanted_keys, request.step.order_id, ttl)
        attempt = await self._lock(claim)
        answer = publish_change(
            await self.seats.update_selection(request, is_contended=attempt.is_contended), self.publish
        )
        await self._settle(claim, attempt, answer)
        if answer.outcome is Outcome.DONE:
            await self.locks.release(request.dropped_keys, request.step.order_id)
        return answer

    @activity.defn(name="RefreshSeatLocks")
    async def refresh_seat_locks(self, request: RefreshSeatLocks) -> Answer:
        """Accept a payment: the clock stands still, hold and locks outlast the longest payment."""
        answer = publish_change(await self.seats.begin_payment(request), self.publish)
        order = answer.order
        if answer.outcome is Outcome.DONE and order is not None:
            await self.locks.extend(order.keys, order.id, order.policy.longest_payment + LOCK_MARGIN)
        return answer

    @activity.defn(name="ReleaseSeats")
    async def release_seats(self, request: ReleaseSeats) -> None:
        """Remove the seat locks of an order that ended without its seats."""
        await self.locks.release(request.keys, request.order_id)

    async def _lock(self, claim: _LockedClaim) -> LockAttempt:
        return await self.locks.acquire(claim.seats, claim.order_id, claim.ttl)

    async def _settle(self, claim: _LockedClaim, attempt: LockAttempt, answer: Answer) -> None:
        """Bring the locks in line with the ledger's decision: it knows which of the seats the order holds."""
        if answer.outcome is Outcome.DONE:
            if attempt.is_contended:
                await self.locks.assign(claim.seats, claim.order_id, claim.ttl, others=attempt.others)
            return
        # A late run removes only the locks that it added itself: a later step may have locked the others.
        own = claim.seats if answer.outcome is Outcome.REFUSED else attempt.fresh
        if own:
            await self.locks.release(set(own).difference(await self._held(claim, answer)), claim.order_id)

    async def _held(self, claim: _LockedClaim, answer: Answer) -> Collection[SeatKey]:
        if answer.outcome is Outcome.NOT_OWNER:
            # The lock of another booking with this order's id looks like ours: the ledger knows its seats.
            return await self.seats.held_seats(claim.order_id)
        return answer.order.keys if answer.order and not answer.order.status.is_terminal else ()


@dataclass(frozen=True)
class _LockedClaim:
    seats: tuple[SeatKey, ...]
    order_id: str
    ttl: timedelta
