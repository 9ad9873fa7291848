"""Order management: the ends of an order, each one transaction of the ledger with its seats in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import activity

from skyhold.domain.orders import OrderStatus
from skyhold.messages import Answer, ConfirmOrder, ExpireOrder, FailOrder

if TYPE_CHECKING:
    from skyhold.stores.orders import OrderStore
    from skyhold.stores.seat_locks import SeatLocks


class OrderActivities:
    """Confirms, fails and expires orders."""

    def __init__(self, orders: OrderStore, locks: SeatLocks) -> None:
        self.orders = orders
        self.locks = locks

    @activity.defn(name="ConfirmOrder")
    async def confirm_order(self, ask: ConfirmOrder) -> Answer:
        """Book the seats of a paid order, then remove their locks: a booked seat needs none."""
        answer = await self.orders.confirm(ask)
        order = answer.order
        if order is not None and order.status is OrderStatus.CONFIRMED and order.flight_id is not None:
            await self.locks.release(order.flight_id, order.seats, order.id)
        return answer

    @activity.defn(name="FailOrder")
    async def fail_order(self, ask: FailOrder) -> Answer:
        """End the order as failed and give its seats back; money that was taken becomes a refund due."""
        return await self.orders.fail(ask)

    @activity.defn(name="ExpireOrder")
    async def expire_order(self, ask: ExpireOrder) -> Answer:
        """End the order if PostgreSQL's clock says that its time is up; else the answer is open."""
        return await self.orders.expire(ask)
