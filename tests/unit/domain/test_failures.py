"""Every end without a booking has a code and a sentence; no other status has either."""

from __future__ import annotations

import pytest

from skyhold.domain.failures import FAILURE_CODES, Failure, failure_of, standard_sentence
from skyhold.domain.orders import FailureCode, OrderStatus

UNBOOKED = {OrderStatus.FAILED, OrderStatus.EXPIRED}


@pytest.mark.parametrize("status", sorted(set(OrderStatus) - UNBOOKED))
def test_an_order_that_has_not_ended_unbooked_has_no_failure(status: OrderStatus) -> None:
    assert failure_of(status, None, None) is None


@pytest.mark.parametrize("code", FailureCode)
def test_a_failed_order_says_why_in_the_sentence_that_it_kept(code: FailureCode) -> None:
    failure = failure_of(OrderStatus.FAILED, code.value, "Because.")
    assert failure == Failure(code.value, "Because.")
    assert failure.line == f"{code.value}: Because."


@pytest.mark.parametrize("code", FailureCode)
@pytest.mark.parametrize("kept", [None, ""])
def test_a_failed_order_whose_sentence_was_not_kept_has_its_codes_own(code: FailureCode, kept: str | None) -> None:
    assert failure_of(OrderStatus.FAILED, code.value, kept) == Failure(code.value, standard_sentence(code.value))


def test_an_expired_order_has_the_code_by_which_its_commands_are_refused() -> None:
    failure = failure_of(OrderStatus.EXPIRED, None, None)
    assert failure == Failure("ORDER_EXPIRED", standard_sentence("ORDER_EXPIRED"))


def test_every_code_has_a_sentence_of_its_own() -> None:
    sentences = {standard_sentence(code) for code in FAILURE_CODES}
    assert len(sentences) == len(FAILURE_CODES)
    assert all(sentence.endswith(".") for sentence in sentences)


def test_a_code_of_another_version_has_a_sentence_all_the_same() -> None:
    assert failure_of(OrderStatus.FAILED, "NEW_CODE", None) == Failure("NEW_CODE", standard_sentence("INTERNAL"))
