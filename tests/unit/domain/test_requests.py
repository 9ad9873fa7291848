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
from skyhold.domain.requests import Cancellation, HoldOutcomeRequest, HoldRequest, Payment, SeatChange
from skyhold.domain.seats import sort_seats

FLIGHT = "550e8400-e29b-41d4-a716-446655440001"
CANARY = "31337"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

Parser = Callable[[Sequence[Any]], object]

PARSERS: dict[Parser, type] = {
    requests.parse_hold_request: HoldRequest,
    requests.parse_seat_change: SeatChange,
    requests.parse_payment: Payment,
    requests.parse_cancellation: Cancellation,
    requests.parse_hold_outcome_request: HoldOutcomeRequest,
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
    assert requests.parse_hold_outcome_request(payloads) == HoldOutcomeRequest()


def test_a_whole_booking_request_is_understood() -> None:
    body = {
        "orderId": "o-1",
        "flightId": FLIGHT,
        "seats": ["12B", "2A"],
        "guestHash": "g",
        "giveUpAt": "2026-01-01T01:00:00+01:00",
    }
    midnight = datetime(2026, 1, 1, tzinfo=UTC)
    assert requests.parse_hold_request([body]) == HoldRequest("o-1", FLIGHT, ("2A", "12B"), "g", midnight)


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
        requests.parse_hold_request([right | {member: value}])
    facts = refusal.value.fields["seats" if error is InvalidSeats else "errors"]
    assert facts[0]["pointer"].startswith(f"/{member}")


def test_a_payment_without_a_code_is_refused_as_that() -> None:
    with pytest.raises(InvalidPaymentCode):
        requests.parse_payment([{}])


maybe_versions = st.none() | st.integers(0, 10**9)
maybe_totals = st.none() | st.integers(0, requests.TOTAL_LIMIT_CENTS)
wire_instants = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001
    lambda instant: instant.replace(microsecond=instant.microsecond // 1000 * 1000)
)
"""Instants as the wire carries them: to the millisecond."""

maybe_deadlines = st.none() | wire_instants
some_seats = st.lists(st.sampled_from(["1A", "12F", "99K"]), min_size=1, unique=True).map(sort_seats)
some_ids = st.text("abcXYZ019_-", min_size=1, max_size=64)
some_codes = st.text("0123456789", min_size=5, max_size=5).map(PaymentCode)
commands = st.one_of(
    st.builds(
        HoldRequest, some_ids, st.text(max_size=64), some_seats, st.none() | some_ids, maybe_deadlines, maybe_totals
    ),
    st.builds(SeatChange, some_seats, maybe_versions, maybe_deadlines, maybe_totals),
    st.builds(Payment, some_codes, maybe_versions, maybe_deadlines),
    st.builds(Cancellation, maybe_versions, maybe_deadlines),
    st.builds(HoldOutcomeRequest, maybe_deadlines),
)


@given(command=commands)
def test_a_command_that_is_written_and_read_is_the_same(command: Any) -> None:
    payload = json.loads(json.dumps(command.to_json()))
    (parse,) = [parse for parse, kind in PARSERS.items() if kind is type(command)]
    assert parse([payload]) == command


@pytest.mark.parametrize(
    ("command", "identity"),
    [
        (HoldRequest("o", "f", ("1A",), "guest", NOON), {"flightId": "f", "seats": ["1A"]}),
        (
            HoldRequest("o", "f", ("1A",), expected_total_cents=7),
            {"flightId": "f", "seats": ["1A"], "expectedTotalCents": 7},
        ),
        (SeatChange(("1A", "1B"), deadline=NOON), {"seats": ["1A", "1B"]}),
        (SeatChange(("1A",), expected_total_cents=7), {"seats": ["1A"], "expectedTotalCents": 7}),
        (Payment(PaymentCode("97531"), deadline=NOON), {"paymentCode": "97531"}),
        (Cancellation(deadline=NOON), {}),
    ],
)
def test_a_command_keeps_the_identity_under_which_ledgers_have_stored_it(
    command: requests.OrderCommand | HoldRequest, identity: dict[str, Any]
) -> None:
    assert command.identity() == identity
