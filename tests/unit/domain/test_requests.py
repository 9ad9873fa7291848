"""Parsing of requests: any JSON becomes a command or a refusal that repeats no value."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from skyhold.domain import requests
from skyhold.domain.errors import InvalidPaymentCode, InvalidRequest, InvalidSeats, SkyholdError
from skyhold.domain.payments import PaymentCode
from skyhold.domain.requests import BookingRequest, Cancellation, HoldQuestion, Payment, SeatChange

FLIGHT = "550e8400-e29b-41d4-a716-446655440001"
CANARY = "31337"

Parser = Callable[[Sequence[Any]], object]

PARSERS: dict[Parser, type] = {
    requests.parse_booking_request: BookingRequest,
    requests.parse_seat_change: SeatChange,
    requests.parse_payment: Payment,
    requests.parse_cancellation: Cancellation,
    requests.parse_hold_question: HoldQuestion,
}

MEMBERS = [
    *("orderId", "flightId", "seats", "expectedTotalCents"),
    *("guestHash", "giveUpAt", "paymentCode", "version", "more"),
]

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=70)
    | st.sampled_from([CANARY, int(CANARY), float(CANARY), f"x {CANARY}", f"{CANARY}A", "12A", "12A", FLIGHT, "o-1"])
    | st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-01", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
)
anything = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(MEMBERS) | st.text(), inner),
    max_leaves=12,
)
requests_or_anything = st.lists(st.dictionaries(st.sampled_from(MEMBERS), anything) | anything, max_size=2)


@pytest.mark.parametrize("parse", PARSERS)
@given(payloads=requests_or_anything)
@example(payloads=[])
@example(payloads=[None])
@example(payloads=[{}, {}])
@example(payloads=[{"giveUpAt": "\ud800"}])
def test_any_json_becomes_a_word_or_a_no_that_does_not_repeat_it(parse: Parser, payloads: list[Any]) -> None:
    try:
        word = parse(payloads)
    except SkyholdError as refusal:
        told = f"{refusal} {refusal!r} {json.dumps(refusal.fields)} {''.join(traceback.format_exception(refusal))}"
        assert CANARY not in told
    else:
        assert isinstance(word, PARSERS[parse])


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize("parse", PARSERS)
def test_a_payment_code_in_any_wrong_place_is_not_repeated(parse: Parser, member: str) -> None:
    right = {"orderId": "o-1", "flightId": FLIGHT, "seats": ["12A"], "paymentCode": "12345"}
    for wrong in (CANARY, int(CANARY), [CANARY], {"code": CANARY}, [CANARY, "12A", int(CANARY)]):
        told = ""
        try:
            parse([right | {member: wrong}])
        except SkyholdError as refusal:
            told = f"{refusal!r} {refusal.fields}"
        assert CANARY not in told


@pytest.mark.parametrize("payloads", [[], [None], [{}]])
def test_a_cancel_and_a_question_need_no_payload(payloads: list[Any]) -> None:
    assert requests.parse_cancellation(payloads) == Cancellation()
    assert requests.parse_hold_question(payloads) == HoldQuestion()


def test_a_whole_booking_request_is_understood() -> None:
    body = {
        "orderId": "o-1",
        "flightId": FLIGHT,
        "seats": ["12B", "2A"],
        "guestHash": "g",
        "giveUpAt": "2026-01-01T01:00:00+01:00",
    }
    midnight = datetime(2026, 1, 1, tzinfo=UTC)
    assert requests.parse_booking_request([body]) == BookingRequest("o-1", FLIGHT, ("2A", "12B"), "g", midnight)


def test_a_payment_and_a_cancel_may_name_the_version_they_are_meant_for() -> None:
    assert requests.parse_payment([{"paymentCode": "12345"}]) == Payment(PaymentCode("12345"))
    assert requests.parse_payment([{"paymentCode": "12345", "version": 3}]).version == 3
    assert requests.parse_cancellation([{"version": 3}]) == Cancellation(version=3)


@pytest.mark.parametrize("version", [True, "3", 3.0, [3]])
def test_a_version_that_is_no_whole_number_is_refused(version: object) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        requests.parse_payment([{"paymentCode": "12345", "version": version}])
    assert refusal.value.fields["errors"] == [{"pointer": "/version", "detail": "must be a whole number"}]


@pytest.mark.parametrize(
    ("member", "value", "error"),
    [
        ("orderId", "a b", InvalidRequest),
        ("orderId", None, InvalidRequest),
        ("flightId", 7, InvalidRequest),
        ("flightId", "x" * 65, InvalidRequest),
        ("guestHash", "a b", InvalidRequest),
        ("guestHash", 7, InvalidRequest),
        ("giveUpAt", "soon", InvalidRequest),
        ("giveUpAt", 7, InvalidRequest),
        ("giveUpAt", "2026-01-01T00:00:00", InvalidRequest),
        ("giveUpAt", "0001-01-01T00:00:00+14:00", InvalidRequest),
        ("seats", "12A", InvalidRequest),
        ("seats", ["12I"], InvalidSeats),
    ],
)
def test_each_member_of_a_booking_request_is_checked(member: str, value: object, error: type[SkyholdError]) -> None:
    right = {"orderId": "o-1", "flightId": FLIGHT, "seats": ["12A"]}
    with pytest.raises(error) as refusal:
        requests.parse_booking_request([right | {member: value}])
    facts = refusal.value.fields["seats" if error is InvalidSeats else "errors"]
    assert facts[0]["pointer"].startswith(f"/{member}")


def test_a_payment_without_a_code_is_refused_as_that() -> None:
    with pytest.raises(InvalidPaymentCode):
        requests.parse_payment([{}])
