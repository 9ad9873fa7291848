"""What a customer remembers of their own orders, held against the list that the API gives of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import islice
from typing import Any

from skyhold.domain.orders import HOLDING, OrderStatus
from skyhold_local.simulation.orders import OwnOrder
from skyhold_local.simulation.replies import Act, ContractViolation, understood

LISTED = 50
"""So many of the last orders must be in the first page of the list, which has a hundred."""

_WORTH_A_WORD = HOLDING | {OrderStatus.CONFIRMED}


class KnownOrders:
    """All orders that a customer was told of, and those of them that have not ended as far as the customer knows."""

    def __init__(self) -> None:
        self.orders: dict[str, OwnOrder] = {}
        self.open: dict[str, OwnOrder] = {}

    def add(self, order: OwnOrder) -> None:
        """Remember a new order."""
        self.orders[order.id] = self.open[order.id] = order

    def close(self, order: OwnOrder) -> None:
        """Remember that the order has ended."""
        self.open.pop(order.id, None)

    def compare(
        self, listed: Mapping[str, Any], uncertain: Collection[str]
    ) -> list[tuple[OwnOrder, Mapping[str, Any]]]:
        """Return the open orders that have ended meanwhile, as they are listed.

        `uncertain` are orders that may be there though nobody said so.

        Raises:
            ContractViolation: an order is not what its customer was told, is missing, or was never told of.
        """
        with understood(Act.LOOK):
            bodies = {str(body["orderId"]): body for body in listed["orders"]}
            strangers = {each for each, body in bodies.items() if OrderStatus(body["status"]) in _WORTH_A_WORD}
        if set(islice(reversed(self.orders), LISTED)) - set(bodies):
            raise ContractViolation("An order of one's own is missing from the list of them.")
        if strangers - set(self.orders) - set(uncertain):
            raise ContractViolation("An order holds seats that its customer was never told of.")
        ended = []
        for order_id, body in bodies.items():
            if (order := self.orders.get(order_id)) is not None:
                order.see(body)
                if order_id in self.open and order.status.is_terminal:
                    ended.append((order, body))
        return ended
