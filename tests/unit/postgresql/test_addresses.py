"""What of an address is ours to know: its hosts one by one, and the schema."""

from __future__ import annotations

import pytest

from skyhold.postgresql.addresses import Host, has_target, hosts_of, is_schema_named, quoted, schema_of
from skyhold.postgresql.errors import PostgresMisconfigured


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://me:pw@a:5432,b:5433/db", [Host("a", 5432), Host("b", 5433)]),
        ("postgresql://me:pw@a,b/db", [Host("a", None), Host("b", None)]),
        ("postgresql://me:pw@[::1]:5432,[fe80::1]/db", [Host("::1", 5432), Host("fe80::1", None)]),
        ("postgresql://%2Fvar%2Frun,b/db", [Host("/var/run", None), Host("b", None)]),
        ("postgresql:///db?host=a,b&port=1,2", [Host("a", 1), Host("b", 2)]),
        ("postgresql:///db?host=a,b&port=1", [Host("a", 1), Host("b", 1)]),
        ("postgresql:///db?host=/run/a", [Host("/run/a", None)]),
        ("postgresql:///db", []),
    ],
)
def test_the_hosts_of_an_address_are_read_as_libpq_reads_them(url: str, hosts: list[Host]) -> None:
    assert hosts_of(url) == hosts


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
    url = f"postgresql://a/db?options={options}"
    assert schema_of(url) == schema
    assert is_schema_named(url) is ("search" in options)


@pytest.mark.parametrize("value", ["a,b", '"$user"', "", "a b", '"'])
def test_what_is_no_single_schema_is_refused(value: str) -> None:
    with pytest.raises(PostgresMisconfigured):
        schema_of(f"postgresql://a/db?options=-csearch_path%3D{value.replace(' ', '%5C%20')}")


def test_a_name_is_quoted_only_where_it_must_be() -> None:
    assert [quoted(name) for name in ("public", "Seats", 'a"b', "1st")] == ["public", '"Seats"', '"a""b"', '"1st"']


def test_whether_an_address_wants_a_kind_of_server_is_read() -> None:
    assert has_target("postgresql://a,b/db?target_session_attrs=primary")
    assert not has_target("postgresql://a,b/db")
