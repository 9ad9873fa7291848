"""Payment codes, which are never shown, and verdicts."""

from __future__ import annotations

import logging
import pickle
import traceback
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyhold.domain.errors import InvalidPaymentCode, PaymentDeclined, PaymentFailed
from skyhold.domain.payments import PaymentCode, PaymentVerdict, parse_payment_code, refusal_of
from skyhold.domain.requests import Payment
from skyhold.messages import Step, ValidatePayment

CODE = PaymentCode("31337")

HOLDERS = [
    CODE,
    Payment(CODE),
    ValidatePayment(Step("o", "booking-o", "chain", 1), CODE),
    [CODE],
    {"code": CODE},
    InvalidPaymentCode("no", code=CODE),
]

TRACES: list[Callable[[Any], str]] = [
    repr,
    str,
    lambda holder: f"{holder} {holder!r} {holder!s}",
    lambda holder: "{} {!r}".format(holder, holder),  # noqa: UP032 - the method under test
    lambda holder: "%s %r" % (holder, holder),  # noqa: UP031 - the operator under test
    ascii,
]


@pytest.mark.parametrize("trace", TRACES)
@pytest.mark.parametrize("holder", HOLDERS, ids=lambda holder: type(holder).__name__)
def test_no_text_made_of_a_payment_code_shows_it(holder: object, trace: Callable[[Any], str]) -> None:
    assert "31337" not in trace(holder)


def test_a_log_line_with_a_payment_code_does_not_show_it(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("a test").warning("paying with %s as %r", CODE, Payment(CODE))
    assert "paying with" in caplog.text
    assert "31337" not in caplog.text


def test_a_traceback_with_a_payment_code_in_the_error_does_not_show_it() -> None:
    with pytest.raises(InvalidPaymentCode) as refusal:
        raise InvalidPaymentCode(code=CODE)
    assert "31337" not in "".join(traceback.format_exception(refusal.value))


def test_the_digits_travel_only_by_what_is_made_to_carry_them() -> None:
    """Temporal's converter reads the fields; code that does so has the digits and must encrypt them."""
    assert asdict(CODE) == {"digits": "31337"}
    assert pickle.loads(pickle.dumps(CODE)) == CODE  # noqa: S301 - our own bytes


@given(st.from_regex(r"[0-9]{5}", fullmatch=True))
def test_five_digits_are_a_payment_code(digits: str) -> None:
    assert digits.isascii()
    assert parse_payment_code(digits).digits == digits


@pytest.mark.parametrize(
    "value",
    [None, 31337, 31337.0, True, "", "3133", "313370", " 31337", "31337\n", "٣١٣٣٧", "3133a", ["31337"], b"31337"],
)
def test_anything_else_is_refused_and_not_repeated(value: object) -> None:
    with pytest.raises(InvalidPaymentCode) as refusal:
        parse_payment_code(value)
    assert "3133" not in f"{refusal.value!r} {refusal.value.fields}"


@pytest.mark.parametrize("verdicts", [1, 2, 3, 4])
def test_a_decline_ends_the_payment_at_once_and_an_approval_never_refuses(verdicts: int) -> None:
    assert isinstance(refusal_of(PaymentVerdict.DECLINED, verdicts=verdicts, max_attempts=3), PaymentDeclined)
    assert refusal_of(PaymentVerdict.APPROVED, verdicts=verdicts, max_attempts=3) is None


@pytest.mark.parametrize("verdict", [PaymentVerdict.ERROR, PaymentVerdict.TIMEOUT])
def test_errors_and_time_outs_are_asked_again_until_the_attempts_are_used_up(verdict: PaymentVerdict) -> None:
    assert refusal_of(verdict, verdicts=2, max_attempts=3) is None
    assert isinstance(refusal_of(verdict, verdicts=3, max_attempts=3), PaymentFailed)
