"""What all commands of an order have in common over HTTP: the look before, the clock, how "no" and silence are told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Annotated, Any

from fastapi import Depends

from skyhold.domain.errors import (
    DatabaseUnavailable,
    OrderChanged,
    OrderClosed,
    OrderNotFound,
    SeatsUnavailable,
    WorkflowUnavailable,
)
from skyhold.domain.orders import is_order_id, refusal_when_closed
from skyhold.domain.seats import Seat, plan_claim, require_expected_total
from skyhold.queries.orders import Claimant, OrderLook
from skyhold.web.api.services import Services, UsedServices
from skyhold.web.clocks import LedgerClock
from skyhold.web.errors import OutcomeUnknown, PreconditionFailed
from skyhold.web.idempotency import ReplayMark, SettledCommand
from skyhold.web.identity import Caller
from skyhold.workflows.booking_client import StoredAnswer

LOOKING_SHARE = 0.8
"""Of what the booking may take for a command, so much may go by before it is sent; a later one is not sent at all."""

LOOKING_SECONDS = 0.2
"""What looking may take of its own; beyond this the booking has the less."""

AFTERTHOUGHT_SECONDS = 0.1
"""What is waited beyond all that for what the client is told besides: how an order ended, other seats."""


class CommandTime:
    """The time that a command has from its arrival on: its client waits no longer, whatever is away or slow.

    `limit` is what the booking may take for it.
    """

    def __init__(self, limit: timedelta) -> None:
        self._limit = limit.total_seconds()
        self._began_at = asyncio.get_running_loop().time()
        self._ends_at = self._began_at + self._limit + LOOKING_SECONDS

    def give_up_at(self, clock: LedgerClock) -> datetime:
        """Return when a client whose command is sent now will have been told that nobody answered, by that clock."""
        left = self._ends_at - asyncio.get_running_loop().time()
        return clock.now() + timedelta(seconds=min(left, self._limit))

    @contextlib.asynccontextmanager
    async def for_looking(self) -> AsyncIterator[None]:
        """Bound what is asked of PostgreSQL before the command is sent.

        Raises:
            DatabaseUnavailable: it takes so long that nothing is sent.
        """
        try:
            async with asyncio.timeout_at(self._began_at + self._limit * LOOKING_SHARE):
                yield
        except TimeoutError as late:
            raise DatabaseUnavailable from late

    def for_sending(self) -> asyncio.Timeout:
        """Bound the command itself: it is given up when this time is over."""
        return asyncio.timeout_at(self._ends_at)

    async def run_out(self) -> None:
        """Wait until the time of the command is over."""
        await asyncio.sleep(max(0.0, self._ends_at - asyncio.get_running_loop().time()))

    def for_afterthoughts(self) -> asyncio.Timeout:
        """Bound what is asked when the answer is known, but not all that belongs to it."""
        return asyncio.timeout_at(self._ends_at + AFTERTHOUGHT_SECONDS)


async def command_time(services: UsedServices) -> CommandTime:
    """Return the time of a command that has just arrived."""
    return CommandTime(services.command_timeout)


UsedTime = Annotated[CommandTime, Depends(command_time)]


async def look_at(services: Services, caller: Caller, order_id: str, wanted: Sequence[str] = ()) -> OrderLook:
    """Return what a command must know of an order of the caller's.

    Raises:
        OrderNotFound: there is none, or it is another's: nobody can tell which.
    """
    look = await services.orders.look(order_id, caller.claim(order_id), wanted) if is_order_id(order_id) else None
    if look is None:
        raise OrderNotFound
    return look


async def look_back(services: Services, time: CommandTime, order_id: str, claimant: Claimant) -> OrderLook | None:
    """Return the order of a command that was sent, or None if there is none.

    Raises:
        OutcomeUnknown: PostgreSQL does not say.
    """
    try:
        async with time.for_afterthoughts():
            return await services.orders.look(order_id, claimant)
    except (DatabaseUnavailable, TimeoutError) as silence:
        raise OutcomeUnknown(order_id) from silence


async def answer_once(
    services: Services,
    command: SettledCommand,
    mark: ReplayMark,
    send: Callable[[], Awaitable[dict[str, Any]]],
) -> dict[str, Any]:
    """Return the stored answer to a command that was sent before under its key, marked, or else send it.

    That a key is known says only that its command may have been sent. So the booking is asked for an answer first: one
    that is there was there before this request. What is under way is sent again under the same ids, and is not marked.

    Raises:
        SkyholdError: the command is refused, or was.
        WorkflowUnavailable: no answer in time.
    """
    stored = None
    if command.is_retry:
        stored = await services.bookings.find_answer(command.order_id, command.update_id)
    return await send() if stored is None else mark.give(stored)


@dataclass(frozen=True)
class SeatRequest:
    """The seats that an order is asked to have, and what its sender expects them to cost, if anything."""

    order_id: str
    seats: tuple[str, ...]
    expected_cents: int | None
    max_seats: int

    def precheck(self, seats: Sequence[Seat], *, currency: str | None) -> None:
        """Refuse what the ledger would refuse of these seats, by its rules and in its words, without a workflow.

        Raises:
            InvalidSeats: there are too many, or one is not on this aircraft.
            SeatsUnavailable: at least one is another order's, or not for sale.
            PriceChanged: they cost another sum than was expected.
        """
        claim = plan_claim(self.order_id, self.seats, seats, max_seats=self.max_seats)
        require_expected_total(claim.total_cents, expected_cents=self.expected_cents, currency=currency)


@contextlib.asynccontextmanager
async def told_why(
    services: Services,
    time: CommandTime,
    order_id: str,
    claimant: Claimant,
    *,
    hold: SettledCommand | None = None,
    mark: ReplayMark | None = None,
) -> AsyncIterator[None]:
    """Tell the client why a command comes too late: Temporal knows that a booking has ended, the ledger knows how.

    A `hold` whose booking was ended from outside may not be in the ledger, and its step still be on the way there. So
    nobody is told "no" before one that was asked for earlier must have arrived, or been given up. What Temporal never
    heard of, because it was killed while it waited with the client, the ledger has as well: why the hold was refused.
    """
    try:
        async with time.for_sending():
            yield
    except (WorkflowUnavailable, TimeoutError) as silence:
        raise OutcomeUnknown(order_id) from silence
    except OrderChanged as changed:
        # The ledger names the version if that is what the command was meant for.
        if "version" in changed.fields:
            raise PreconditionFailed(**changed.fields) from changed
        raise
    except OrderClosed as closed:
        look = await look_back(services, time, order_id, claimant)
        if look is None and hold is not None and hold.is_retry:
            await time.run_out()
            look = await look_back(services, time, order_id, claimant)
        if look is None and (hold is None or hold.is_retry):
            raise
        if hold is not None and look is not None and look.hold_refusal is not None:
            if mark is not None and hold.is_retry:
                mark.give(StoredAnswer(refusal=look.hold_refusal))
            raise look.hold_refusal from closed
        if look is not None and look.status.is_terminal:
            raise refusal_when_closed(look.status) from closed
        # A booking whose process is gone while its order is open: it is mended later, and until then nothing happens.
        raise OutcomeUnknown(order_id) from closed


@contextlib.asynccontextmanager
async def told_alternatives(
    services: Services,
    time: CommandTime,
    flight_id: str,
    wanted: Sequence[str],
    *,
    own_prices: Mapping[str, int] = MappingProxyType({}),
) -> AsyncIterator[None]:
    """Tell a client whose seats are not available which ones are."""
    try:
        yield
    except SeatsUnavailable as refusal:
        conflicts = refusal.fields.get("conflicts", ())
        found: list[dict[str, Any]] = []
        with contextlib.suppress(TimeoutError):
            async with time.for_afterthoughts():
                found = await services.alternatives.alternatives_for(flight_id, wanted, own_prices, conflicts)
        refusal.fields["alternatives"] = found
        raise
