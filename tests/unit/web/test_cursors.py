"""Cursors: round trip, and rejection of other values."""

from __future__ import annotations

import base64
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyhold.domain.errors import InvalidRequest
from skyhold.domain.flights import is_flight_id
from skyhold.domain.orders import is_order_id
from skyhold.queries.flights import FlightFilter
from skyhold.queries.pages import Position
from skyhold.web.api.cursors import CURSOR_LENGTH_LIMIT, read_cursor, write_cursor

HERE = Position(datetime(2026, 3, 1, 12, 0, 0, 1, tzinfo=UTC), "550e8400-e29b-41d4-a716-446655440001")
ALL = FlightFilter()

positions = st.builds(
    Position,
    st.datetimes(timezones=st.just(UTC)),
    st.uuids().map(str) | st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
)
filters = st.builds(
    FlightFilter,
    st.sampled_from([None, "NYC", "LAX"]),
    st.sampled_from([None, "NYC", "LAX"]),
    st.sampled_from([None, date(2026, 3, 1), date(2026, 3, 2)]),
)


def _read(cursor: str, wanted: FlightFilter) -> Position:
    return read_cursor(cursor, wanted, is_id=is_order_id)


@given(positions, filters)
def test_a_cursor_leads_back_to_where_it_was_written(position: Position, wanted: FlightFilter) -> None:
    cursor = write_cursor(position, wanted)
    assert len(cursor) <= CURSOR_LENGTH_LIMIT
    assert cursor.replace("-", "").replace("_", "").isalnum(), "it needs no escaping in a URL"
    assert _read(cursor, wanted) == position


@given(filters, filters)
def test_a_cursor_of_other_filters_is_refused(written_for: FlightFilter, asked_with: FlightFilter) -> None:
    cursor = write_cursor(HERE, written_for)
    if written_for == asked_with:
        assert _read(cursor, asked_with) == HERE
    else:
        with pytest.raises(InvalidRequest):
            _read(cursor, asked_with)


@given(
    st.text(max_size=64) | st.binary(min_size=32, max_size=32).map(lambda raw: base64.urlsafe_b64encode(raw).decode())
)
def test_whatever_is_no_cursor_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        _read(text, ALL)
    (fault,) = refusal.value.fields["errors"]
    assert fault["pointer"] == "/cursor"
    assert refusal.value.detail == f"cursor {fault['detail']}."


@given(st.integers(0, 42), st.sampled_from("AZaz09-_=+/ é"))
def test_a_cursor_that_was_damaged_is_refused(place: int, character: str) -> None:
    cursor = write_cursor(HERE, ALL)
    damaged = cursor[:place] + character + cursor[place + 1 :]
    if damaged != cursor:
        with pytest.raises(InvalidRequest):
            _read(damaged, ALL)
    with pytest.raises(InvalidRequest):
        _read(cursor + "=", ALL)


@pytest.mark.parametrize("no_flight", ["", "demo-1", HERE.id.upper(), "x" * 36, "é"])
def test_a_cursor_made_up_with_an_id_that_none_can_have_is_refused(no_flight: str) -> None:
    cursor = write_cursor(Position(HERE.at, no_flight), ALL)
    with pytest.raises(InvalidRequest):
        read_cursor(cursor, ALL, is_id=is_flight_id)
