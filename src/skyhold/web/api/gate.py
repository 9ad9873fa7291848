"""Common steps of all commands of an order over HTTP: the precheck, the deadline, refusals and unknown outcomes."""

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
from skyhold.queries.orders import OrderAccess, OrderSnapshot
from skyhold.web.api.services import Services, UsedServices
from skyhold.web.clocks import LedgerClock
from skyhold.web.errors import OutcomeUnknown, PreconditionFailed
from skyhold.web.idempotency import ReplayMark, ResolvedCommand
from skyhold.web.identity import Caller
from skyhold.workflows.booking_client import StoredAnswer

PRECHECK_SHARE = 0.8
"""Share of the booking's time limit that may pass before a command is sent; a later one is not sent at all."""

PRECHECK_SECONDS = 0.2
"""Time of the precheck that is added to the booking's time limit; a longer precheck shortens the booking's time."""

FOLLOW_UP_SECONDS = 0.1
"""Time after the deadline for reads that complete an answer: how an order ended, alternative seats."""


class CommandDeadline:
    """The deadline of a command, counted from its arrival: it is answered in time, whatever is unavailable or slow.

    `limit` is the time that the booking may take.
    """

    def __init__(self, limit: timedelta) -> None:
        self._limit = limit.total_seconds()
        self._began_at = asyncio.get_running_loop().time()
        self._ends_at = self._began_at + self._limit + PRECHECK_SECONDS

    def give_up_at(self, clock: LedgerClock) -> datetime:
        """Return the deadline of a command that is sent now, by that clock: the instant when its client gets 503."""
        left = self._ends_at - asyncio.get_running_loop().time()
        return clock.now() + timedelta(seconds=min(left, self._limit))

    @contextlib.asynccontextmanager
    async def precheck(self) -> AsyncIterator[None]:
        """Limit the time of the reads from PostgreSQL before the command is sent.

        Raises:
            DatabaseUnavailable: they take so long that nothing is sent.
        """
        try:
            async with asyncio.timeout_at(self._began_at + self._limit * PRECHECK_SHARE):
                yield
        except TimeoutError as late:
            raise DatabaseUnavailable from late

    def send(self) -> asyncio.Timeout:
        """Limit the time of the command itself: it is abandoned at the deadline."""
        return asyncio.timeout_at(self._ends_at)

    async def run_out(self) -> None:
        """Wait until the deadline of the command."""
        await asyncio.sleep(max(0.0, self._ends_at - asyncio.get_running_loop().time()))

    def follow_up(self) -> asyncio.Timeout:
        """Limit the time of the reads that complete an answer."""
        return asyncio.timeout_at(self._ends_at + FOLLOW_UP_SECONDS)


async def command_deadline(services: UsedServices) -> CommandDeadline:
    """Return the deadline of a command that has just arrived."""
    return CommandDeadline(services.command_timeout)


UsedDeadline = Annotated[CommandDeadline, Depends(command_deadline)]


async def read_order(services: Services, caller: Caller, order_id: str, wanted: Sequence[str] = ()) -> OrderSnapshot:
    """Read the caller's order, as a command needs it.

    Raises:
        OrderNotFound: it does not exist or belongs to another caller; the two look the same.
    """
    snapshot = (
        await services.orders.snapshot(order_id, caller.access_to(order_id), wanted) if is_order_id(order_id) else None
    )
    if snapshot is None:
        raise OrderNotFound
    return snapshot


async def read_after_failure(
    services: Services, deadline: CommandDeadline, order_id: str, access: OrderAccess
) -> OrderSnapshot | None:
    """Read the order again after its command was sent; None if it does not exist.

    Raises:
        OutcomeUnknown: PostgreSQL is unavailable or slow.
    """
    try:
        async with deadline.follow_up():
            return await services.orders.snapshot(order_id, access)
    except (DatabaseUnavailable, TimeoutError) as silence:
        raise OutcomeUnknown(order_id) from silence


async def answer_once(
    services: Services,
    command: ResolvedCommand,
    mark: ReplayMark,
    send: Callable[[], Awaitable[dict[str, Any]]],
) -> dict[str, Any]:
    """Return the stored answer to a command with a known key, marked as replayed; otherwise send the command.

    A known key means only that its command may have been sent, so the booking is queried for an answer first: an answer
    that it has existed before this request. A command without one is sent again under the same ids and is not marked.

    Raises:
        SkyholdError: the command is refused, or was refused before.
        WorkflowUnavailable: no answer in time.
    """
    stored = None
    if command.is_retry:
        stored = await services.bookings.find_answer(command.order_id, command.update_id)
    return await send() if stored is None else mark.give(stored)


@dataclass(frozen=True)
class SeatRequest:
    """The seats that a command wants for its order, and the total that its sender expects, if any."""

    order_id: str
    seats: tuple[str, ...]
    expected_cents: int | None
    max_seats: int

    def precheck(self, seats: Sequence[Seat], *, currency: str | None) -> None:
        """Refuse seats that the ledger would refuse, by its rules and with its errors, without a workflow.

        Raises:
            InvalidSeats: there are too many, or one is not on this aircraft.
            SeatsUnavailable: at least one belongs to another order or is not for sale.
            PriceChanged: their total is not the expected one.
        """
        claim = plan_claim(self.order_id, self.seats, seats, max_seats=self.max_seats)
        require_expected_total(claim.total_cents, expected_cents=self.expected_cents, currency=currency)


@contextlib.asynccontextmanager
async def translate_command_errors(
    services: Services,
    deadline: CommandDeadline,
    order_id: str,
    access: OrderAccess,
    *,
    hold: ResolvedCommand | None = None,
    mark: ReplayMark | None = None,
) -> AsyncIterator[None]:
    """Translate the errors of a command: Temporal knows only that a booking has ended, the ledger knows how.

    If the booking of a `hold` was ended from outside, the hold's step may still be on its way to the ledger. So a retry
    is refused only after its deadline, when the step of an earlier request has arrived or is past its own deadline. Why
    a hold was refused is in the ledger too; Temporal does not know it if the workflow was killed before it replied.
    """
    try:
        async with deadline.send():
            yield
    except (WorkflowUnavailable, TimeoutError) as silence:
        raise OutcomeUnknown(order_id) from silence
    except OrderChanged as changed:
        # The ledger names the version if the command required another one.
        if "version" in changed.fields:
            raise PreconditionFailed(**changed.fields) from changed
        raise
    except OrderClosed as closed:
        snapshot = await read_after_failure(services, deadline, order_id, access)
        if snapshot is None and hold is not None and hold.is_retry:
            await deadline.run_out()
            snapshot = await read_after_failure(services, deadline, order_id, access)
        if snapshot is None and (hold is None or hold.is_retry):
            raise
        if hold is not None and snapshot is not None and snapshot.hold_refusal is not None:
            if mark is not None and hold.is_retry:
                mark.give(StoredAnswer(refusal=snapshot.hold_refusal))
            raise snapshot.hold_refusal from closed
        if snapshot is not None and snapshot.status.is_terminal:
            raise refusal_when_closed(snapshot.status) from closed
        # The workflow is gone while its order is open: it is repaired later, and until then nothing happens.
        raise OutcomeUnknown(order_id) from closed


@contextlib.asynccontextmanager
async def attach_alternatives(
    services: Services,
    deadline: CommandDeadline,
    flight_id: str,
    wanted: Sequence[str],
    *,
    own_prices: Mapping[str, int] = MappingProxyType({}),
) -> AsyncIterator[None]:
    """Add alternative seats to a refusal with `SeatsUnavailable`."""
    try:
        yield
    except SeatsUnavailable as refusal:
        conflicts = refusal.fields.get("conflicts", ())
        found: list[dict[str, Any]] = []
        with contextlib.suppress(TimeoutError):
            async with deadline.follow_up():
                found = await services.alternatives.alternatives_for(flight_id, wanted, own_prices, conflicts)
        refusal.fields["alternatives"] = found
        raise
