"""The gate through which every command of an order goes over HTTP: read, named by its key, prechecked, sent, answered.

A command is answered in time whatever is unavailable or slow, and a retry gets the first answer.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Protocol, Self

from fastapi import Depends

from skyhold.domain.alternatives import Alternative
from skyhold.domain.errors import (
    DatabaseUnavailable,
    OrderChanged,
    OrderClosed,
    OrderNotFound,
    PaymentInProgress,
    SeatsUnavailable,
    WorkflowUnavailable,
)
from skyhold.domain.flights import require_not_departed
from skyhold.domain.orders import is_order_id, refusal_when_closed
from skyhold.domain.requests import Cancellation, HoldRequest, OrderCommand, Payment, SeatChange
from skyhold.domain.seats import Seat, SeatKey, plan_claim, require_expected_total
from skyhold.messages import OrderReply
from skyhold.queries.orders import OrderAccess, OrderSnapshot
from skyhold.web.api.deadlines import UsedDeadline
from skyhold.web.api.preconditions import wanted_version
from skyhold.web.api.services import UsedServices
from skyhold.web.clocks import LedgerClock
from skyhold.web.contract.problem_bodies import AlternativeBody
from skyhold.web.errors import OutcomeUnknown, PreconditionFailed
from skyhold.web.idempotency import CommandIds, UsedReplayMark
from skyhold.web.identity import UsedCaller

_REQUESTS: Mapping[type[OrderCommand], tuple[str, str]] = {
    SeatChange: ("PUT", "/seats"),
    Payment: ("POST", "/pay"),
    Cancellation: ("DELETE", ""),
}
"""The method and the end of the path of each command; together with the body they identify the request of a key."""


@dataclass(frozen=True)
class OpenHold:
    """A hold before it is sent: the request, the ids under which it continues, and PostgreSQL's clock."""

    command: HoldRequest
    ids: CommandIds
    access: OrderAccess
    clock: LedgerClock
    departs_at: datetime

    def require_in_place(self) -> None:
        """Refuse a hold on a flight that has departed.

        Raises:
            FlightDeparted: it has.
        """
        require_not_departed(self.departs_at, now=self.clock.read)


@dataclass(frozen=True)
class OpenCommand:
    """A command on an order before it is sent: its ids, the order as it was read, and PostgreSQL's clock."""

    command: OrderCommand
    ids: CommandIds
    access: OrderAccess
    clock: LedgerClock
    seen: OrderSnapshot

    def matching(self, if_match: str | None) -> Self:
        """Return the command for the version that the header names.

        Raises:
            PreconditionFailed: it contains no tag that an order can have.
        """
        version = wanted_version(if_match, seen=self.seen.version)
        return replace(self, command=replace(self.command, version=version))

    @property
    def is_for_seen_version(self) -> bool:
        """True if the command applies to the version of the order that was read."""
        return self.command.version in {None, self.seen.version}

    def require_in_place(self) -> None:
        """Refuse a command for an order that has ended or is being paid, as its workflow would, but without a message.

        Raises:
            HoldExpired: its hold has expired.
            OrderClosed: it has ended in another way.
            PaymentInProgress: a payment is in progress.
        """
        if self.seen.status.is_terminal:
            raise refusal_when_closed(self.seen.status)
        if self.seen.status.is_paying:
            raise PaymentInProgress


class PricedSeats(Protocol):
    """Seats as they were read before a command, with the currency of their prices."""

    @property
    def seats(self) -> Sequence[Seat]:
        """The seats."""

    @property
    def currency(self) -> str | None:
        """The currency of their prices."""


@dataclass(frozen=True)
class SeatRequest:
    """The seats that a command wants for its order, and the total that its sender expects, if any."""

    order_id: str
    seats: tuple[str, ...]
    expected_cents: int | None
    max_seats: int

    def precheck(self, found: PricedSeats) -> None:
        """Refuse seats that the ledger would refuse, by its rules and with its errors, without a workflow.

        Raises:
            InvalidSeats: there are too many, or one is not on this aircraft.
            SeatsUnavailable: at least one belongs to another order or is not for sale.
            PriceChanged: their total is not the expected one.
        """
        claim = plan_claim(self.order_id, self.seats, found.seats, max_seats=self.max_seats)
        require_expected_total(claim.total_cents, expected_cents=self.expected_cents, currency=found.currency)


class CommandGate:
    """The gate of one request: its services, deadline, caller and replay mark."""

    def __init__(
        self, services: UsedServices, deadline: UsedDeadline, caller: UsedCaller, mark: UsedReplayMark
    ) -> None:
        self.services = services
        self.deadline = deadline
        self.caller = caller
        self.mark = mark

    async def open(
        self,
        order_id: str,
        command: OrderCommand,
        *,
        key: str | None = None,
        wanted: Sequence[str] = (),
    ) -> OpenCommand:
        """Read the caller's order with the wanted seats, and find the ids of the command.

        Raises:
            OrderNotFound: it does not exist or belongs to another caller; the two look the same.
            IdempotencyKeyReused: the key was used for another request.
            DatabaseUnavailable: PostgreSQL does not answer in time.
        """
        method, path = _REQUESTS[type(command)]
        keys = self.services.idempotency_keys
        async with self.deadline.precheck():
            seen = await self.read(order_id, wanted)
            clock = LedgerClock(seen.now)
            fresh = keys.fresh_ids(key, seen.guest_hash, order_id=order_id)
            request = (method, f"/api/orders/{order_id}{path}")
            ids = await keys.settle(key, seen.guest_hash, request, command, fresh=fresh)
        return OpenCommand(command, ids, self.caller.access_to(order_id), clock, seen)

    async def read(self, order_id: str, wanted: Sequence[str] = ()) -> OrderSnapshot:
        """Read the caller's order, as a command needs it.

        Raises:
            OrderNotFound: it does not exist or belongs to another caller; the two look the same.
        """
        access = self.caller.access_to(order_id)
        snapshot = await self.services.orders.snapshot(order_id, access, wanted) if is_order_id(order_id) else None
        if snapshot is None:
            raise OrderNotFound
        return snapshot

    async def read_after_failure(self, order_id: str, access: OrderAccess) -> OrderSnapshot | None:
        """Read the order again after its command was sent; None if it does not exist.

        Raises:
            OutcomeUnknown: PostgreSQL is unavailable or slow.
        """
        try:
            async with self.deadline.follow_up():
                return await self.services.orders.snapshot(order_id, access)
        except (DatabaseUnavailable, TimeoutError) as silence:
            raise OutcomeUnknown(order_id) from silence

    async def send(
        self, opened: OpenHold | OpenCommand, turn: AbstractAsyncContextManager[None] | None = None
    ) -> OrderReply:
        """Send the command and return the order after it, or the stored answer to its key, marked as replayed.

        `turn` prechecks a new command and lets it wait for others. A retry skips it, because only the booking knows
        the outcome of the earlier request: it is queried for an answer first, which makes the answer a replay. A retry
        without an answer is sent again under the same ids and is not marked.

        Raises:
            SkyholdError: the command is refused, or was refused before.
            OutcomeUnknown: no answer in time.
        """
        ids = opened.ids
        async with self._translate_errors(opened):
            if not ids.is_retry:
                opened.require_in_place()
                async with turn or nullcontext():
                    return await self._send(opened)
            stored = await self.services.bookings.find_answer(ids.order_id, ids.update_id)
            return await self._send(opened) if stored is None else self.mark.give(stored)

    async def _send(self, opened: OpenHold | OpenCommand) -> OrderReply:
        bookings, deadline = self.services.bookings, self.deadline.instant(opened.clock)
        if isinstance(opened, OpenHold):
            return await bookings.hold(replace(opened.command, deadline=deadline))
        command = replace(opened.command, deadline=deadline)
        return await bookings.send(opened.ids.order_id, command, update_id=opened.ids.update_id)

    @contextlib.asynccontextmanager
    async def _translate_errors(self, opened: OpenHold | OpenCommand) -> AsyncIterator[None]:
        """Translate the errors of a command: Temporal knows only that a booking has ended, the ledger knows how."""
        order_id = opened.ids.order_id
        try:
            async with self.deadline.send():
                yield
        except (WorkflowUnavailable, TimeoutError) as silence:
            raise OutcomeUnknown(order_id) from silence
        except OrderChanged as changed:
            # The ledger names the version if the command required another one.
            if "version" in changed.fields:
                raise PreconditionFailed(**changed.fields) from changed
            raise
        except OrderClosed as closed:
            seen = await self._read_closed(opened)
            if seen is None:
                raise
            if isinstance(opened, OpenHold) and seen.hold_refusal is not None:
                # Temporal does not know why a hold was refused if the workflow was killed before it replied.
                if opened.ids.is_retry:
                    self.mark.give(seen.hold_refusal)
                raise seen.hold_refusal from closed
            if seen.status.is_terminal:
                raise refusal_when_closed(seen.status) from closed
            # The workflow is gone while its order is open: it is repaired later, and until then nothing happens.
            raise OutcomeUnknown(order_id) from closed

    async def _read_closed(self, opened: OpenHold | OpenCommand) -> OrderSnapshot | None:
        """Read the order of a booking that has ended; None if there is none and never will be.

        If the booking of a hold was ended from outside, the hold's step may still be on its way to the ledger. So a
        retry is refused only after its deadline, when the step of an earlier request has arrived or is past its own.
        """
        seen = await self.read_after_failure(opened.ids.order_id, opened.access)
        if seen is not None or not isinstance(opened, OpenHold):
            return seen
        if not opened.ids.is_retry:
            raise OutcomeUnknown(opened.ids.order_id)
        await self.deadline.run_out()
        return await self.read_after_failure(opened.ids.order_id, opened.access)

    @contextlib.asynccontextmanager
    async def turn(
        self,
        request: SeatRequest,
        found: PricedSeats,
        read: Callable[[], Awaitable[PricedSeats]],
        *,
        added: Sequence[SeatKey],
    ) -> AsyncIterator[None]:
        """Precheck the seats as they were found, and wait while others claim an added seat; `read` finds them again."""
        request.precheck(found)

        async def recheck() -> None:
            request.precheck(await read())

        async with self.services.claims.wait_turn(added, recheck):
            yield

    @contextlib.asynccontextmanager
    async def alternatives(
        self, flight_id: str, wanted: Sequence[str], *, own_prices: Mapping[str, int] = MappingProxyType({})
    ) -> AsyncIterator[None]:
        """Add alternative seats to a refusal with `SeatsUnavailable`."""
        try:
            yield
        except SeatsUnavailable as refusal:
            conflicts = refusal.fields.get("conflicts", ())
            found: tuple[Alternative, ...] = ()
            with contextlib.suppress(TimeoutError):
                async with self.deadline.follow_up():
                    found = await self.services.seat_search.alternatives(flight_id, wanted, own_prices, conflicts)
            refusal.fields["alternatives"] = [AlternativeBody.of(each).model_dump(by_alias=True) for each in found]
            raise


UsedGate = Annotated[CommandGate, Depends()]
