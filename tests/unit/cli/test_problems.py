"""Problems rendered for a person."""

from __future__ import annotations

from typing import Any

import pytest

from skyhold.cli.customers.problems import Refused, how_it_ended


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        ({"error": "ORDER_CLOSED", "detail": "This order is closed."}, "This order is closed. (ORDER_CLOSED)"),
        (
            {
                "error": "SEATS_UNAVAILABLE",
                "detail": "Not available: 14A, 14B.",
                "conflicts": [{"seat": "14A", "status": "reserved"}, {"seat": "14B", "status": "booked"}],
                "alternatives": [{"seats": ["15A", "15B"]}, {"seats": ["13A", "13B"]}],
            },
            "14A is on hold; 14B is taken. Closest: 15A 15B; 13A 13B. (SEATS_UNAVAILABLE)",
        ),
        (
            {"error": "SEATS_UNAVAILABLE", "conflicts": [{"seat": "1A", "status": "blocked"}], "alternatives": []},
            "1A is not for sale. (SEATS_UNAVAILABLE)",
        ),
        (
            {
                "error": "INVALID_SEATS",
                "detail": "Not on this aircraft: 99K.",
                "seats": [{"seat": "99K", "detail": "is not on this aircraft"}],
            },
            "Not on this aircraft: 99K. (INVALID_SEATS)",
        ),
        (
            {"error": "INVALID_SEATS", "detail": "Seats!", "seats": [{"pointer": "/seats/0", "detail": "is wrong"}]},
            "Seats! Seat 1 is wrong. (INVALID_SEATS)",
        ),
        ({}, "The API answered 418."),
    ],
)
def test_a_problem_is_one_line_that_names_each_seat_once(problem: dict[str, Any], words: str) -> None:
    assert str(Refused(418, problem)) == words


def test_what_a_command_adds_stands_before_the_code() -> None:
    refused = Refused(404, {"error": "ORDER_NOT_FOUND", "detail": "No."}).with_hint("Look elsewhere.")
    assert str(refused) == "No. Look elsewhere. (ORDER_NOT_FOUND)"


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ({"status": "CONFIRMED", "reference": "ABC234"}, "It was CONFIRMED, its booking reference is ABC234."),
        (
            {"status": "FAILED", "failureCode": "CANCELLED", "failureReason": "You cancelled."},
            "It ended FAILED (CANCELLED): You cancelled.",
        ),
        ({"status": "SEATS_RESERVED"}, "It is SEATS_RESERVED."),
    ],
)
def test_an_order_is_told_by_its_end(order: dict[str, Any], words: str) -> None:
    assert how_it_ended(order) == words
