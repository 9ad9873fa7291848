"""Order management: the ends of an order, each one transaction of the ledger with its seats in it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from temporalio import activity

from skyhold.activities.publishing import publish_change
from skyhold.domain.orders import OrderStatus
from skyhold.events.changes import Publish
from skyhold.messages import Answer, ConfirmOrder, ExpireOrder, FailOrder

if TYPE_CHECKING:
    from skyhold.stores.orders import OrderStore
    from skyhold.stores.seat_locks import SeatLocks


class OrderActivities:
    """Confirms, fails and expires orders."""

    def __init__(
        self, orders: OrderStore, locks: SeatLocks, publish: Publish, *, has_status_attribute: bool = False
    ) -> None:
        self.orders = orders
        self.locks = locks
        self.publish = publish
        self.has_status_attribute = has_status_attribute

    @activity.defn(name="ConfirmOrder")
    async def confirm_order(self, request: ConfirmOrder) -> Answer:
        """Book the seats of a paid order, then remove their locks: a booked seat needs none."""
        answer = self._told(await self.orders.confirm(request))
        order = answer.order
        if order is not None and order.status is OrderStatus.CONFIRMED:
            await self.locks.release(order.keys, order.id)
        return answer

    @activity.defn(name="FailOrder")
    async def fail_order(self, request: FailOrder) -> Answer:
        """End the order as failed and release its seats; a captured payment becomes a refund due."""
        return self._told(await self.orders.fail(request))

    @activity.defn(name="ExpireOrder")
    async def expire_order(self, request: ExpireOrder) -> Answer:
        """End the order if its time is up by PostgreSQL's clock; otherwise return how much is left."""
        return self._told(await self.orders.expire(request))

    def _told(self, answer: Answer) -> Answer:
        return replace(publish_change(answer, self.publish), has_status_attribute=self.has_status_attribute)
