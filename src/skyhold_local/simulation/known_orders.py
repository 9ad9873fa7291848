"""A customer's own orders, compared with the list that the API returns."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import islice
from typing import Any

from skyhold.domain.orders import HOLDING, OrderStatus
from skyhold_local.simulation.orders import OwnOrder
from skyhold_local.simulation.replies import Act, ContractViolation, parsing

LISTED = 50
"""Number of latest orders that must be on the first page of the list, which has a hundred."""

_WITH_SEATS = HOLDING | {OrderStatus.CONFIRMED}


class KnownOrders:
    """All orders of a customer, and those that are open as far as the customer knows."""

    def __init__(self) -> None:
        self.orders: dict[str, OwnOrder] = {}
        self.open: dict[str, OwnOrder] = {}

    def add(self, order: OwnOrder) -> None:
        """Add a new order."""
        self.orders[order.id] = self.open[order.id] = order

    def close(self, order: OwnOrder) -> None:
        """Record that the order has ended."""
        self.open.pop(order.id, None)

    def compare(
        self, listed: Mapping[str, Any], uncertain: Collection[str]
    ) -> list[tuple[OwnOrder, Mapping[str, Any]]]:
        """Return the open orders that have ended meanwhile, each with its entry in the list.

        `uncertain` are ids of orders that may exist, though no reply confirmed them.

        Raises:
            ContractViolation: an order contradicts earlier replies, is missing, or was in no reply before.
        """
        with parsing(Act.LOOK):
            bodies = {str(body["orderId"]): body for body in listed["orders"]}
            with_seats = {each for each, body in bodies.items() if OrderStatus(body["status"]) in _WITH_SEATS}
        if set(islice(reversed(self.orders), LISTED)) - set(bodies):
            raise ContractViolation("An own order is missing from the list of the customer's orders.")
        if with_seats - set(self.orders) - set(uncertain):
            raise ContractViolation("An order has seats, but no reply to its customer named it.")
        ended = []
        for order_id, body in bodies.items():
            if (order := self.orders.get(order_id)) is not None:
                order.apply_status(body)
                if order_id in self.open and order.status.is_terminal:
                    ended.append((order, body))
        return ended
