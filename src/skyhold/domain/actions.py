"""What a customer may do with an order as it stands: for pages and programs to offer, for the ledger to decide."""

from __future__ import annotations

from enum import StrEnum

from skyhold.domain.orders import OrderStatus


class Action(StrEnum):
    """What a customer can ask of an order."""

    CHANGE_SEATS = "change-seats"
    PAY = "pay"
    CANCEL = "cancel"


def available_actions(status: OrderStatus, *, has_time_left: bool, has_changes_left: bool) -> tuple[Action, ...]:
    """Return the actions that are likely to be granted; of a hold whose time is up only the end is."""
    if status is OrderStatus.CREATED:
        return (Action.CANCEL,)
    if status is not OrderStatus.SEATS_RESERVED:
        return ()
    if not has_time_left:
        return (Action.CANCEL,)
    return (*((Action.CHANGE_SEATS,) if has_changes_left else ()), Action.PAY, Action.CANCEL)
