"""No password is shown, wherever it is in an address, encoded or not."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyhold.addresses.postgresql import DatabaseAddress
from skyhold.addresses.redis import RedisAddress
from skyhold.addresses.shown import show_address
from skyhold.addresses.urls import BadAddressError
from skyhold.bootstrap.addresses import require_database_url, require_host_and_port, require_redis_url
from skyhold.setting_errors import BadSettingError

MARKS = ("QX7QX", "JW9JW")
"""Pieces of every password, so that a part of one is found too."""

PASSWORDS = st.builds(
    lambda *parts: f"{parts[0]}{MARKS[0]}{parts[1]}{MARKS[1]}{parts[2]}",
    *(st.text(st.sampled_from(":/?#[]@!$&'()*+,;=% \t\n\\\"<>^`{|}~é\u2028aZ0.-_"), max_size=4) for _ in range(3)),
)

PLACES = [
    *("postgresql://me:{}@db/name", "postgres://me:{}@db:5433", "postgresql://:{}@db", "postgresql://{}@db/name"),
    *(
        "postgresql://db/name?password={}",
        "postgresql://me@db/name?sslpassword={}",
        "postgresql://db?user=me&password={}",
    ),
    *("postgresql://me:{}@a,b:1/name", "postgresql:///name?password={}&host=/run"),
    *("postgresql://db/name&password={}", "postgresql://db/name;password={}", "postgresql://db/name#{}"),
    *("postgresql://db/name?pasword={}", "postgresql://db/name?{}", "postgresql://db/name?{}=1", "postgresql://me:{}@"),
    *("postgresql://db/name?passwd={}&x", "postgresql://db/name?oauth_client_secret={}&scram_client_key={}"),
    *("host=db user=me password={} dbname=name", "password='{}' host=db", "postgresql+asyncpg://me:{}@db/name"),
    *("jdbc:postgresql://db/name?password={}", "me:{}@db/name", "//me:{}@db/name", "postgresql:/me:{}@db/name"),
    *("redis://:{}@cache", "redis://me:{}@cache:7000/1", "rediss://me:{}@cache", "redis://cache?password={}"),
    *("redis://cache?username=me&password={}", "unix://me:{}@/run/redis.sock", "unix:///run/redis.sock?password={}"),
    *("rediss://cache?ssl_password={}", "redis://:{}@", "redis://cache/0&password={}", "redis://cache/{}"),
    *("http://me:{}@api:8080/prefix", "https://api/{}", "http://api?token={}", "me:{}@temporal:7233"),
    *("https://me:{}@temporal:7233", "temporal:7233/{}"),
]


def _said_of(address: str) -> str:
    said = [show_address(name, address) for name in ("DATABASE_URL", "REDIS_URL", "TEMPORAL_ADDRESS", "SKYHOLD_API")]
    for require in (
        require_database_url,
        require_redis_url,
        lambda text: require_host_and_port(text, "TEMPORAL_ADDRESS"),
    ):
        try:
            require(address)
        except BadSettingError as error:
            said += [str(error), repr(error.__context__) if not error.__suppress_context__ else ""]
    for kind in (DatabaseAddress, RedisAddress):
        try:
            said.append(repr(kind.parse(address)))
        except BadAddressError as error:
            said.append(repr(error))
    return "\n".join(said)


@pytest.mark.rest
@pytest.mark.parametrize("place", PLACES)
@given(password=PASSWORDS, is_encoded=st.booleans())
def test_no_part_of_a_password_is_shown(place: str, password: str, is_encoded: bool) -> None:
    written = quote(password, safe="") if is_encoded else password
    said = _said_of(place.replace("{}", written))
    assert not [mark for mark in MARKS if mark in said], said


@given(text=st.text(min_size=1, max_size=80))
def test_any_text_is_an_address_or_a_refusal(text: str) -> None:
    for scheme in ("", "postgresql://", "redis://", "unix://", "http://"):
        _said_of(scheme + text)


def test_what_is_plain_is_shown() -> None:
    assert show_address("DATABASE_URL", "postgresql://me:secret@db:5433/skyhold?sslmode=require") == "db:5433/skyhold"
    assert show_address("REDIS_URL", "rediss://me:secret@cache/2") == "cache:6379/2"
    assert show_address("TEMPORAL_ADDRESS", "temporal:7233") == "temporal:7233"
    assert show_address("SKYHOLD_API", "https://me:secret@api:8443/prefix") == "https://api:8443"
