"""The messages that cross Temporal."""

from __future__ import annotations

import pytest

from skyhold.domain.errors import ERRORS, SeatsUnavailable, SkyholdError
from skyhold.messages import Refusal, fingerprint, workflow_id_of


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


def test_a_step_is_known_again_by_its_name_and_its_arguments() -> None:
    mark = fingerprint("UpdateSeatSelection", ["1A", "1B"])
    assert mark == fingerprint("UpdateSeatSelection", ["1A", "1B"])
    assert mark != fingerprint("UpdateSeatSelection", ["1A"])
    assert mark != fingerprint("UpdateSeatSelection", "1A", "1B")
    assert mark != fingerprint("FailOrder", ["1A", "1B"])
