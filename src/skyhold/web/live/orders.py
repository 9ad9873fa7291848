"""Watched orders: the last status that was sent of each, and its listeners."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from skyhold.domain.errors import DatabaseUnavailable
from skyhold.events.changes import Change
from skyhold.queries.orders import OrderView
from skyhold.resilience.single_flight import SingleFlight
from skyhold.web.live.stream import Listener, frame, retry_line
from skyhold.web.schemas import OrderStatusBody

_CLOCKS = {"server_time", "timer_remaining"}
"""Members of a status that differ at every read and are not a change of the order."""

ReadOrder = Callable[[str], Awaitable[OrderView | None]]
ReadChangeTimes = Callable[[Sequence[str]], Awaitable[dict[str, datetime]]]


@dataclass(frozen=True)
class OrderEvent:
    """The status of an order as an event: equal ids mean equal content."""

    id: str
    frame: bytes
    is_last: bool
    changed_at: datetime

    @classmethod
    def of(cls, order: OrderView) -> OrderEvent:
        """Return the event with the order's status."""
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
    """One order that has listeners."""

    def __init__(self, order_id: str, read: ReadOrder) -> None:
        self.order_id = order_id
        self.listeners: set[Listener] = set()
        self._refresh = SingleFlight(self._look)
        self._read = read
        self._last: OrderEvent | None = None
        self._catching_up: asyncio.Task[None] | None = None
        self._is_behind = False

    def join(self, order: OrderView) -> Listener:
        """Return a new listener that first gets the order's status, of this snapshot or of a newer one of the watch."""
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
        """Return whether the last event sent is that of the change at this instant."""
        return self._last is not None and self._last.changed_at == changed_at

    def recheck(self) -> None:
        """Read the order, now or after the read in progress, and send its status if it has changed."""
        self._is_behind = True
        if self._catching_up is None or self._catching_up.done():
            self._catching_up = asyncio.get_running_loop().create_task(self._catch_up())

    def close(self) -> None:
        """Stop reading."""
        if self._catching_up is not None:
            self._catching_up.cancel()

    async def _catch_up(self) -> None:
        while self._is_behind and self.listeners:
            self._is_behind = False
            try:
                await self._refresh.refresh()
            except DatabaseUnavailable:
                return  # Comparing finds the change when PostgreSQL is available again.

    async def _look(self) -> None:
        last = self._last
        order = await self._read(self.order_id)
        if order is None:
            return
        # Reads of the watch run one after the other; the snapshot of a new listener may be newer than this read.
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
        """Return a new listener of the order, which was just read."""
        watch = self._watches.get(order.id)
        if watch is not None:
            return watch.join(order)
        watch = self._watches[order.id] = OrderWatch(order.id, self._read_order)
        listener = watch.join(order)
        if not listener.is_ended:
            # A change since that read was not sent: the order was not watched yet.
            watch.recheck()
        return listener

    def leave(self, order_id: str, listener: Listener) -> None:
        """Remove the listener, and the order after its last listener."""
        if watch := self._watches.get(order_id):
            watch.listeners.discard(listener)
            if not watch.listeners:
                watch.close()
                del self._watches[order_id]

    def apply(self, change: Change) -> None:
        """Read the order again if it is watched."""
        if watch := self._watches.get(change.order_id):
            watch.recheck()

    async def resync(self) -> None:
        """Read those orders again that have changed in PostgreSQL.

        Raises:
            DatabaseUnavailable: PostgreSQL does not answer.
        """
        if self._watches:
            times = await self._read_change_times(tuple(self._watches))
            for order_id, watch in tuple(self._watches.items()):
                if not watch.is_told(times.get(order_id)):
                    watch.recheck()

    def close(self) -> None:
        """Stop reading."""
        for watch in self._watches.values():
            watch.close()
