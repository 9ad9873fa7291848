"""Flights: their ids and their departure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyhold.domain.errors import FlightDeparted
from skyhold.domain.flights import canonical_flight_id, require_not_departed

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@given(st.uuids())
def test_a_flight_id_has_one_spelling(flight_id: object) -> None:
    assert canonical_flight_id(str(flight_id)) == str(flight_id)
    assert canonical_flight_id(str(flight_id).upper()) == str(flight_id)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "FL101",
        "550e8400e29b41d4a716446655440001",
        "{550e8400-e29b-41d4-a716-446655440001}",
        "550e8400-e29b-41d4-a716-446655440001\n",
        "550e8400-e29b-41d4-a716-44665544000g",
        "\x00",
        "\ud800",
    ],
)
def test_what_no_flight_can_have_is_no_flight_id(text: str) -> None:
    assert canonical_flight_id(text) is None


def test_a_flight_is_sold_until_it_leaves() -> None:
    require_not_departed(NOON, now=NOON - timedelta(microseconds=1))
    with pytest.raises(FlightDeparted):
        require_not_departed(NOON, now=NOON)
