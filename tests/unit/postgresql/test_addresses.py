"""The schema in the options of an address."""

from __future__ import annotations

from urllib.parse import unquote

import pytest

from skyhold.postgresql.addresses import is_schema_named, quoted, schema_of
from skyhold.postgresql.errors import PostgresMisconfigured


@pytest.mark.parametrize(
    ("options", "schema"),
    [
        ("-csearch_path%3Dseats", "seats"),
        ("-c%20search_path%3Dseats", "seats"),
        ("--search_path%3DSeats", "seats"),
        ("--search-path%3Dseats", "seats"),
        ('-csearch_path%3D"Seats"', "Seats"),
        ("-cgeqo%3Doff%20-csearch_path%3Da%20-csearch_path%3Db", "b"),
        ('-csearch_path%3D"a%5C%20b"', "a b"),
        ("-cgeqo%3Doff", "public"),
    ],
)
def test_the_schema_is_what_psql_would_use(options: str, schema: str) -> None:
    text = unquote(options)
    assert schema_of(text) == schema
    assert is_schema_named(text) is ("search" in options)


@pytest.mark.parametrize("value", ["a,b", '"$user"', "", "a b", '"'])
def test_what_is_no_single_schema_is_refused(value: str) -> None:
    with pytest.raises(PostgresMisconfigured):
        schema_of(f"-csearch_path={value.replace(' ', chr(92) + ' ')}")


def test_a_name_is_quoted_only_where_it_must_be() -> None:
    assert [quoted(name) for name in ("public", "Seats", 'a"b', "1st")] == ["public", '"Seats"', '"a""b"', '"1st"']
