"""Orders as they are watched: the status of each as it was told last, and who listens."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from skyhold.domain.errors import DatabaseUnavailable
from skyhold.events.changes import Change
from skyhold.queries.orders import OrderView
from skyhold.shared_reads import SharedRead
from skyhold.web.live.stream import Listener, frame, retry_line
from skyhold.web.schemas import OrderStatusBody

_CLOCKS = {"server_time", "timer_remaining"}
"""What of a status is another at every look, and no change."""

ReadOrder = Callable[[str], Awaitable[OrderView | None]]
ReadChangeTimes = Callable[[Sequence[str]], Awaitable[dict[str, datetime]]]


@dataclass(frozen=True)
class OrderEvent:
    """The status of an order as an event: two with one id tell the same."""

    id: str
    frame: bytes
    is_last: bool
    changed_at: datetime

    @classmethod
    def of(cls, order: OrderView) -> OrderEvent:
        """Return the event that tells where the order stands."""
        body = OrderStatusBody.of(order)
        told = body.model_dump_json(by_alias=True, exclude=_CLOCKS)
        event_id = hashlib.blake2b(told.encode(), digest_size=12).hexdigest()
        return cls(
            event_id,
            frame("order", body.model_dump_json(by_alias=True), event_id),
            order.status.is_terminal,
            order.updated_at,
        )


class OrderWatch:
    """One order that somebody follows."""

    def __init__(self, order_id: str, read: ReadOrder) -> None:
        self.order_id = order_id
        self.listeners: set[Listener] = set()
        self._refresh = SharedRead(self._look)
        self._read = read
        self._last: OrderEvent | None = None
        self._catching_up: asyncio.Task[None] | None = None
        self._is_behind = False

    def join(self, order: OrderView) -> Listener:
        """Return a new listener that is told where the order stands, by this look at it or by a later one of ours."""
        event = OrderEvent.of(order)
        if self._last is None or event.changed_at > self._last.changed_at:
            self._tell(event)
        elif event.changed_at < self._last.changed_at:
            event = self._last
        listener = Listener()
        listener.offer(retry_line() + event.frame)
        if event.is_last:
            listener.end()
        self.listeners.add(listener)
        return listener

    def is_told(self, changed_at: datetime | None) -> bool:
        """Say whether what the listeners know is of this moment."""
        return self._last is not None and self._last.changed_at == changed_at

    def look_again(self) -> None:
        """Read the order, now or after the read that is under way, and tell what changed."""
        self._is_behind = True
        if self._catching_up is None or self._catching_up.done():
            self._catching_up = asyncio.get_running_loop().create_task(self._catch_up())

    def close(self) -> None:
        """Look no more."""
        if self._catching_up is not None:
            self._catching_up.cancel()

    async def _catch_up(self) -> None:
        while self._is_behind and self.listeners:
            self._is_behind = False
            try:
                await self._refresh.be_fresh()
            except DatabaseUnavailable:
                return  # Comparing finds what changed when PostgreSQL is back.

    async def _look(self) -> None:
        last = self._last
        order = await self._read(self.order_id)
        if order is None:
            return
        # Our own looks come one after the other; that of a newcomer's may have overtaken this one.
        if self._last is None or self._last is last or order.updated_at > self._last.changed_at:
            self._tell(OrderEvent.of(order))

    def _tell(self, event: OrderEvent) -> None:
        is_news = self._last is None or event.id != self._last.id
        self._last = event
        for listener in self.listeners:
            if is_news:
                listener.offer(event.frame)
            if event.is_last:
                listener.end()


class LiveOrders:
    """The orders that are followed."""

    def __init__(self, read_order: ReadOrder, read_change_times: ReadChangeTimes) -> None:
        self._read_order = read_order
        self._read_change_times = read_change_times
        self._watches: dict[str, OrderWatch] = {}

    def join(self, order: OrderView) -> Listener:
        """Return a new listener of the order, of which this look at it was just taken."""
        watch = self._watches.get(order.id)
        if watch is not None:
            return watch.join(order)
        watch = self._watches[order.id] = OrderWatch(order.id, self._read_order)
        listener = watch.join(order)
        if not listener.is_ended:
            # What changed since that look was told to nobody, for nobody followed the order.
            watch.look_again()
        return listener

    def leave(self, order_id: str, listener: Listener) -> None:
        """Forget the listener, and the order if nobody is left who follows it."""
        if watch := self._watches.get(order_id):
            watch.listeners.discard(listener)
            if not watch.listeners:
                watch.close()
                del self._watches[order_id]

    def apply(self, change: Change) -> None:
        """Have the order looked at, if somebody follows it."""
        if watch := self._watches.get(change.order_id):
            watch.look_again()

    async def compare(self) -> None:
        """Have those orders looked at that PostgreSQL knows to have changed.

        Raises:
            DatabaseUnavailable: PostgreSQL does not answer.
        """
        if self._watches:
            times = await self._read_change_times(tuple(self._watches))
            for order_id, watch in tuple(self._watches.items()):
                if not watch.is_told(times.get(order_id)):
                    watch.look_again()

    def close(self) -> None:
        """Look no more."""
        for watch in self._watches.values():
            watch.close()
