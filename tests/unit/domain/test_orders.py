"""Orders: the table of statuses, policies, versions, references."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyhold.domain.errors import HoldExpired, OrderChanged, OrderClosed, TooManyChanges
from skyhold.domain.holds import longest_payment
from skyhold.domain.orders import (
    HOLDING,
    MAX_CHANGES,
    PAYING,
    REFERENCE_ALPHABET,
    TERMINAL,
    TRANSITIONS,
    FailureCode,
    Order,
    OrderStatus,
    Policy,
    can_become,
    is_order_id,
    new_reference,
    refusal_when_closed,
    require_changes_left,
    require_version,
)

# The table of docs/rules.md#order-status, written out again: a mistake in the code must not change the test with it.
LEGAL = {
    ("CREATED", "SEATS_RESERVED"),
    ("CREATED", "FAILED"),
    ("SEATS_RESERVED", "PAYMENT_PENDING"),
    ("SEATS_RESERVED", "EXPIRED"),
    ("SEATS_RESERVED", "FAILED"),
    ("PAYMENT_PENDING", "PAYMENT_PROCESSING"),
    ("PAYMENT_PENDING", "FAILED"),
    ("PAYMENT_PROCESSING", "CONFIRMED"),
    ("PAYMENT_PROCESSING", "FAILED"),
}


@given(st.sampled_from(OrderStatus), st.sampled_from(OrderStatus), st.none() | st.sampled_from(FailureCode))
def test_an_order_goes_only_the_ways_of_the_table(
    before: OrderStatus, after: OrderStatus, failure_code: FailureCode | None
) -> None:
    is_refund = (before, after, failure_code) == (OrderStatus.CONFIRMED, OrderStatus.FAILED, FailureCode.REFUNDED)
    assert can_become(before, after, failure_code=failure_code) is ((before, after) in LEGAL or is_refund)


def test_the_ends_are_ends_but_for_a_refund() -> None:
    assert {"CONFIRMED", "FAILED", "EXPIRED"} == TERMINAL
    assert all(not TRANSITIONS[status] for status in TERMINAL - {OrderStatus.CONFIRMED})
    assert set(TRANSITIONS) == set(OrderStatus)


def test_each_status_says_whether_it_is_an_end_or_a_payment() -> None:
    assert {status for status in OrderStatus if status.is_terminal} == TERMINAL
    assert {status for status in OrderStatus if status.is_paying} == PAYING
    assert {"SEATS_RESERVED", "PAYMENT_PENDING", "PAYMENT_PROCESSING"} == HOLDING


def test_a_policy_speaks_of_time_and_begins_as_the_product_says() -> None:
    policy = Policy()
    assert policy.hold_time == timedelta(minutes=15)
    assert policy.max_lifetime == timedelta(hours=3)
    assert policy.payment_limit == timedelta(seconds=10)
    assert (policy.max_seats, policy.max_holds, policy.max_changes, policy.payment_attempts) == (9, 5, 200, 3)
    assert policy.longest_payment == longest_payment(attempts=3, attempt_limit=timedelta(seconds=10))


def test_an_order_begins_without_anything() -> None:
    order = Order("o")
    assert (order.status, order.step, order.seats, order.policy) == (OrderStatus.CREATED, 0, (), Policy())


@pytest.mark.parametrize("text", ["a", "A-_9", "0" * 64])
def test_an_order_id_is_up_to_64_plain_characters(text: str) -> None:
    assert is_order_id(text)


@pytest.mark.parametrize("text", ["", "0" * 65, "a b", "ä", "a/b", "a\n", "a\x00", None, 7, ["a"]])
def test_anything_else_is_no_order_id(text: object) -> None:
    assert not is_order_id(text)


def test_a_command_for_another_version_is_refused() -> None:
    require_version(3, wanted=None)
    require_version(3, wanted=3)
    for wanted in (0, 2, 4):
        with pytest.raises(OrderChanged):
            require_version(3, wanted=wanted)


def test_the_seats_of_an_order_can_be_changed_200_times() -> None:
    require_changes_left(MAX_CHANGES - 1, Policy())
    with pytest.raises(TooManyChanges) as refusal:
        require_changes_left(MAX_CHANGES, Policy())
    assert refusal.value.fields == {"limit": 200}


def test_who_comes_too_late_for_a_lapsed_hold_hears_that_whether_or_not_it_expired_already() -> None:
    assert isinstance(refusal_when_closed(OrderStatus.EXPIRED), HoldExpired)
    for status in (OrderStatus.CONFIRMED, OrderStatus.FAILED):
        assert isinstance(refusal_when_closed(status), OrderClosed)


def test_a_reference_is_six_characters_that_nobody_misreads() -> None:
    assert REFERENCE_ALPHABET == "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
    references = {new_reference() for _ in range(200)}
    assert len(references) == 200
    assert all(len(reference) == 6 and set(reference) <= set(REFERENCE_ALPHABET) for reference in references)
