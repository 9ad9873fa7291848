"""Actions that a customer may take on an order in its present state: clients offer them, the ledger decides."""

from __future__ import annotations

from enum import StrEnum

from skyhold.domain.orders import OrderStatus


class Action(StrEnum):
    """An action that a customer can request on an order."""

    CHANGE_SEATS = "change-seats"
    PAY = "pay"
    CANCEL = "cancel"


def available_actions(status: OrderStatus, *, has_time_left: bool, has_changes_left: bool) -> tuple[Action, ...]:
    """Return the actions that are likely to be accepted; a hold whose time is up can only be cancelled."""
    if status is OrderStatus.CREATED:
        return (Action.CANCEL,)
    if status is not OrderStatus.SEATS_RESERVED:
        return ()
    if not has_time_left:
        return (Action.CANCEL,)
    return (*((Action.CHANGE_SEATS,) if has_changes_left else ()), Action.PAY, Action.CANCEL)
