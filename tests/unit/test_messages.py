"""The messages that cross Temporal."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from skyhold.domain.errors import ERRORS, SeatsUnavailable, SkyholdError
from skyhold.domain.orders import FailureCode
from skyhold.domain.payments import PaymentCode
from skyhold.domain.requests import HoldRequest, SeatChange
from skyhold.messages import (
    ClosePayment,
    ConfirmOrder,
    ExpireOrder,
    FailOrder,
    RefreshSeatLocks,
    Refusal,
    ReserveSeats,
    Step,
    UpdateSeatSelection,
    ValidatePayment,
    fingerprint,
    workflow_id_of,
)
from skyhold.reconciliation_messages import OweRefund


@pytest.mark.parametrize("error", ERRORS.values(), ids=lambda error: error.__name__)
def test_every_error_crosses_temporal_and_comes_back_the_same(error: type[SkyholdError]) -> None:
    sent = error("A sentence.", limit=3, conflicts=[{"seat": "1A", "status": "booked"}])
    back = Refusal.of(sent).to_error()
    assert type(back) is error
    assert (back.detail, back.fields) == (sent.detail, sent.fields)


def test_a_refusal_that_an_earlier_version_stored_is_read() -> None:
    assert Refusal("GivenUp", "The request came after it had been given up.").to_error().code == "DEADLINE_EXCEEDED"


def test_a_refusal_names_its_error() -> None:
    assert Refusal.of(SeatsUnavailable()).error == "SeatsUnavailable"


def test_an_order_has_one_workflow_id() -> None:
    assert workflow_id_of("o-1") == "booking-o-1"


STEP = Step("o-1", "booking-o-1", "chain", 2)
CODE = PaymentCode("97531")
LATER = datetime(2026, 3, 1, tzinfo=UTC)


def _change(change: SeatChange, step: Step = STEP) -> UpdateSeatSelection:
    return UpdateSeatSelection(step, "a flight", ("1A",), 900.0, change)


SEATS = ("1A", "1B")


@pytest.mark.parametrize(
    ("message", "like_before"),
    [
        (ReserveSeats(STEP, HoldRequest("o-1", "f", SEATS, "guest", LATER)), ["ReserveSeats", "f", SEATS]),
        (ReserveSeats(STEP, HoldRequest("o-1", "f", SEATS, None, None, 7)), ["ReserveSeats", "f", SEATS, 7]),
        (_change(SeatChange(SEATS, None, LATER)), ["UpdateSeatSelection", SEATS, None]),
        (_change(SeatChange(SEATS, 3, None, 7)), ["UpdateSeatSelection", SEATS, 3, 7]),
        (RefreshSeatLocks(STEP, None, LATER), ["RefreshSeatLocks", None]),
        (RefreshSeatLocks(STEP, 3), ["RefreshSeatLocks", 3]),
        (ValidatePayment(STEP, CODE), ["ValidatePayment"]),
        (ClosePayment(STEP, "a finding"), ["ClosePayment"]),
        (ConfirmOrder(STEP), ["ConfirmOrder"]),
        (FailOrder(STEP, FailureCode.CANCELLED, "a reason", 3, "a finding"), ["FailOrder", "CANCELLED", 3]),
        (ExpireOrder(STEP, "a finding"), ["ExpireOrder"]),
        (OweRefund(STEP, 35000, "a finding"), ["OweRefund", 35000]),
    ],
)
def test_a_step_keeps_the_fingerprint_under_which_ledgers_have_stored_it(message: Any, like_before: list[Any]) -> None:
    stored = hashlib.sha256(json.dumps(like_before).encode()).hexdigest()[:32]
    assert fingerprint(message) == stored


def test_other_seats_are_another_step() -> None:
    assert fingerprint(_change(SeatChange(SEATS))) != fingerprint(_change(SeatChange(("1A",))))
    assert fingerprint(_change(SeatChange(SEATS))) == fingerprint(_change(SeatChange(SEATS, deadline=LATER)))
