"""An order as its customer knows it: its legal next states, and contract violations."""

from __future__ import annotations

from typing import Any

import pytest

from skyhold.domain.orders import OrderStatus
from skyhold_local.simulation.known_orders import KnownOrders
from skyhold_local.simulation.orders import OwnOrder
from skyhold_local.simulation.replies import ContractViolation, Reply

SEATS = ("1A", "1B")
TIMES = {"expiresAt": "2026-03-01T12:15:00.000Z", "serverTime": "2026-03-01T12:00:00.000Z"}
PENDING, PROCESSING = {"status": "PAYMENT_PENDING"}, {"status": "PAYMENT_PROCESSING"}
CONFIRMED = {"status": "CONFIRMED", "reference": "ABCDEF"}


def ended(code: str, *, status: str = "FAILED", **more: Any) -> dict[str, Any]:
    return {"status": status, "failureCode": code, "failureReason": "So.", "lastError": f"{code}: So."} | more


CANCELLED, DECLINED, INTERNAL = ended("CANCELLED"), ended("PAYMENT_DECLINED"), ended("INTERNAL")
EXPIRED = ended("ORDER_EXPIRED", status="EXPIRED", serverTime="2026-03-01T12:15:00.000Z")


def an_order(order_id: str = "order-1", **known: Any) -> OwnOrder:
    order = OwnOrder.of("a-flight", SEATS, Reply({"orderId": order_id, "seats": SEATS, **TIMES}, '"1"'))
    for name, value in known.items():
        setattr(order, name, value)
    return order


def told(**members: Any) -> dict[str, Any]:
    return {"orderId": "order-1", "seats": list(SEATS), "status": "SEATS_RESERVED", **TIMES} | members


@pytest.mark.parametrize(
    ("known", "way"),
    [
        ({}, [{}, {}, EXPIRED, EXPIRED]),
        ({"has_sent_cancel": True}, [{}, CANCELLED]),
        ({"is_paid_for": True, "has_good_code": True}, [{}, PENDING, PROCESSING, PROCESSING, CONFIRMED, CONFIRMED]),
        ({"is_paid_for": True, "has_good_code": True}, [CONFIRMED]),
        ({"is_paid_for": True}, [PROCESSING, DECLINED]),
        ({"is_paid_for": True}, [PENDING, INTERNAL]),
    ],
)
def test_an_order_may_go_the_ways_that_its_customer_knows_of(known: dict[str, Any], way: list[dict[str, Any]]) -> None:
    order = an_order(**known)
    for status in way:
        order.apply_status(told(**status))
        assert order.status == status.get("status", "SEATS_RESERVED")


PAID = {"is_paid_for": True, "has_good_code": True}


@pytest.mark.parametrize(
    ("known", "way", "words"),
    [
        (PAID, [CONFIRMED, DECLINED], "was CONFIRMED became FAILED"),
        (PAID, [CONFIRMED, {"status": "FAILED", "failureCode": "REFUNDED"}], "was CONFIRMED became FAILED"),
        (PAID, [PROCESSING, PENDING], "was PAYMENT_PROCESSING became PAYMENT_PENDING"),
        (PAID, [PROCESSING, {}], "was PAYMENT_PROCESSING became SEATS_RESERVED"),
        (PAID, [PROCESSING, EXPIRED], "was PAYMENT_PROCESSING became EXPIRED"),
        ({}, [EXPIRED, {}], "was EXPIRED became SEATS_RESERVED"),
        (PAID, [CONFIRMED, CONFIRMED | {"reference": "GHJKMN"}], "another reference"),
        (PAID, [CONFIRMED | {"seats": ["1A"]}], "other seats"),
        ({}, [{"seats": ["1A", "1C"]}], "other seats"),
        ({}, [{"status": "EXPIRED", "serverTime": "2026-03-01T12:14:58.000Z"}], "before its time"),
        (
            {},
            [{"status": "FAILED", "failureCode": "HOLD_LIMIT"}],
            "customer's actions do not explain: HOLD_LIMIT",
        ),
        ({}, [{"status": "FAILED"}], "customer's actions do not explain: None"),
        ({}, [PROCESSING], "without a payment became PAYMENT_PROCESSING"),
        ({}, [CONFIRMED], "without a payment became CONFIRMED"),
        ({}, [DECLINED], "without a payment became PAYMENT_DECLINED"),
        ({"is_paid_for": True}, [CONFIRMED], "a code that is always declined"),
        (PAID, [{"status": "FAILED", "failureCode": "SEATS_LOST"}], "paid for and then lost"),
        ({}, [{"status": "GONE"}], "not have the documented form"),
        ({}, [{"serverTime": None}], "not have the documented form"),
        ({}, [EXPIRED | {"failureCode": None}], "failure members do not match"),
        ({}, [CANCELLED | {"failureReason": ""}], "failure members do not match"),
        ({}, [CANCELLED | {"lastError": "CANCELLED"}], "failure members do not match"),
        (PAID, [CONFIRMED | {"failureCode": "CANCELLED", "failureReason": "So."}], "failure members do not match"),
    ],
)
def test_what_no_order_may_become_is_noticed(known: dict[str, Any], way: list[dict[str, Any]], words: str) -> None:
    order = an_order(**known)
    for status in way[:-1]:
        order.apply_status(told(**status))
    with pytest.raises(ContractViolation, match=words):
        order.apply_status(told(**way[-1]))


@pytest.mark.parametrize(
    ("known", "end", "is_by_others"),
    [
        ({}, CANCELLED, True),
        ({}, INTERNAL, True),
        (PAID, INTERNAL, True),
        ({"has_sent_cancel": True}, CANCELLED, False),
        ({}, EXPIRED, False),
        (PAID, DECLINED, False),
    ],
)
def test_what_others_have_ended_is_told_from_what_its_customer_has(
    known: dict[str, Any], end: dict[str, Any], is_by_others: bool
) -> None:
    order = an_order(**known)
    order.apply_status(told(**end))
    assert order.is_ended_by_others is is_by_others


def test_a_change_starts_the_time_again() -> None:
    order = an_order()
    order.change(("2A", "2B"), Reply(told(seats=["2B", "2A"], expiresAt="2026-03-01T12:30:00.000Z"), '"2"'))
    assert (order.tag, order.seats) == ('"2"', ("2A", "2B"))
    with pytest.raises(ContractViolation, match="before its time"):
        order.apply_status(told(**EXPIRED))


def test_no_token_is_in_any_text_of_an_order() -> None:
    assert "secret" not in repr(an_order(token="secret-token"))


def a_memory(*orders: OwnOrder) -> KnownOrders:
    memory = KnownOrders()
    for order in orders:
        memory.add(order)
    return memory


def listed(*bodies: dict[str, Any]) -> dict[str, Any]:
    return {"orders": list(bodies)}


def test_who_comes_back_finds_what_they_left_and_what_has_ended_meanwhile() -> None:
    held, lapsed, bought = an_order("1"), an_order("2"), an_order("3", status=OrderStatus.CONFIRMED)
    memory = a_memory(held, lapsed, bought)
    memory.close(bought)
    bodies = [told(orderId="3", **CONFIRMED), told(orderId="2", **EXPIRED), told(orderId="1")]

    ended = memory.compare(listed(*bodies, told(orderId="failed-first", **INTERNAL)), set())

    assert ended == [(lapsed, bodies[1])]
    assert (held.status, lapsed.status) == ("SEATS_RESERVED", "EXPIRED")


@pytest.mark.parametrize(
    ("bodies", "uncertain", "words"),
    [
        ([], set(), "missing from the list"),
        ([told(orderId="1"), told(orderId="2")], set(), "no reply to its customer named it"),
        ([told(orderId="1"), told(orderId="2", **CONFIRMED)], set(), "no reply to its customer named it"),
        ([told(orderId="1", **CONFIRMED)], set(), "without a payment"),
        ([{"orderId": "1"}], set(), "not have the documented form"),
    ],
)
def test_a_list_that_does_not_agree_is_noticed(bodies: list[dict[str, Any]], uncertain: set[str], words: str) -> None:
    with pytest.raises(ContractViolation, match=words):
        a_memory(an_order("1")).compare(listed(*bodies), uncertain)


def test_an_order_that_may_be_there_without_a_word_is_none_to_wonder_at() -> None:
    assert a_memory(an_order("1")).compare(listed(told(orderId="1"), told(orderId="2")), {"2"}) == []


def test_of_many_orders_the_last_ones_have_to_be_listed() -> None:
    memory = a_memory(*(an_order(f"{number}") for number in range(200)))
    last = [told(orderId=f"{number}") for number in range(199, 99, -1)]
    assert memory.compare(listed(*last), set()) == []
    with pytest.raises(ContractViolation, match="missing"):
        memory.compare(listed(*last[1:]), set())
