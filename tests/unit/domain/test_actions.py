from __future__ import annotations

import pytest

from skyhold.domain.actions import Action, available_actions
from skyhold.domain.orders import OrderStatus

CHANGE, PAY, CANCEL = Action.CHANGE_SEATS, Action.PAY, Action.CANCEL


@pytest.mark.parametrize(
    ("has_time_left", "has_changes_left", "actions"),
    [
        (True, True, (CHANGE, PAY, CANCEL)),
        (True, False, (PAY, CANCEL)),
        (False, True, (CANCEL,)),
        (False, False, (CANCEL,)),
    ],
)
def test_a_held_order_offers_what_its_clock_and_its_changes_allow(
    *, has_time_left: bool, has_changes_left: bool, actions: tuple[Action, ...]
) -> None:
    offered = available_actions(
        OrderStatus.SEATS_RESERVED, has_time_left=has_time_left, has_changes_left=has_changes_left
    )
    assert offered == actions


def test_an_order_that_is_not_held_yet_can_only_be_cancelled() -> None:
    assert available_actions(OrderStatus.CREATED, has_time_left=False, has_changes_left=True) == (CANCEL,)


@pytest.mark.parametrize("status", sorted(set(OrderStatus) - {OrderStatus.CREATED, OrderStatus.SEATS_RESERVED}))
def test_an_order_that_is_being_paid_or_has_ended_offers_nothing(status: OrderStatus) -> None:
    assert available_actions(status, has_time_left=True, has_changes_left=True) == ()
