"""What all commands of an order have in common over HTTP: the look before, the clock, how "no" and silence are told."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from skyhold.domain.errors import OrderChanged, OrderClosed, OrderNotFound, SeatsUnavailable, WorkflowUnavailable
from skyhold.domain.orders import is_order_id, refusal_when_closed
from skyhold.domain.seats import Seat, plan_claim
from skyhold.queries.orders import OrderLook
from skyhold.web.errors import OutcomeUnknown, PreconditionFailed
from skyhold.web.identity import Caller
from skyhold.web.services import Services


@dataclass(frozen=True)
class LedgerClock:
    """PostgreSQL's clock, as it was read a moment ago and has gone on since."""

    read: datetime
    read_at: float = field(default_factory=time.monotonic)

    def now(self) -> datetime:
        """Return PostgreSQL's time."""
        return self.read + timedelta(seconds=time.monotonic() - self.read_at)


async def look_at(services: Services, caller: Caller, order_id: str, wanted: Sequence[str] = ()) -> OrderLook:
    """Return what a command must know of an order of the caller's.

    Raises:
        OrderNotFound: there is none, or it is another's: nobody can tell which.
    """
    look = await services.orders.look(order_id, caller.claim(order_id), wanted) if is_order_id(order_id) else None
    if look is None:
        raise OrderNotFound
    return look


def refuse_early(order_id: str, wanted: Sequence[str], seats: Sequence[Seat], *, max_seats: int) -> None:
    """Refuse seats that are taken as anyone can see, by the rule of the ledger and in its words, without a workflow.

    Raises:
        InvalidSeats: there are too many, or one is not on this aircraft.
        SeatsUnavailable: at least one is another's, or not for sale.
    """
    plan_claim(order_id, wanted, seats, max_seats=max_seats)


@contextlib.asynccontextmanager
async def told_why(services: Services, caller: Caller, order_id: str) -> AsyncIterator[None]:
    """Tell the client why a command comes too late: Temporal knows that a booking has ended, the ledger knows how."""
    try:
        yield
    except WorkflowUnavailable as silence:
        raise OutcomeUnknown(order_id) from silence
    except OrderChanged as changed:
        # The ledger names the version if that is what the command was meant for.
        if "version" in changed.fields:
            raise PreconditionFailed(**changed.fields) from changed
        raise
    except OrderClosed as closed:
        look = await look_at(services, caller, order_id)
        if look.status.is_terminal:
            raise refusal_when_closed(look.status) from closed
        # A booking whose process is gone while its order is open: it is mended later, and until then nothing happens.
        raise OutcomeUnknown(order_id) from closed


@contextlib.asynccontextmanager
async def told_alternatives(
    services: Services, flight_id: str, wanted: Sequence[str], *, own: Sequence[str] = ()
) -> AsyncIterator[None]:
    """Tell a client whose seats are not available which ones are."""
    try:
        yield
    except SeatsUnavailable as refusal:
        conflicts = refusal.fields.get("conflicts", ())
        refusal.fields["alternatives"] = await services.alternatives.alternatives_for(flight_id, wanted, own, conflicts)
        raise
