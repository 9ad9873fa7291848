"""Addresses of Redis: each parameter that its client reads is accepted or rejected by name."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis
from redis.asyncio.connection import URL_QUERY_ARGUMENT_PARSERS

from skyhold.addresses import redis as redis_addresses
from skyhold.addresses.redis import RedisAddress
from skyhold.addresses.urls import BadAddressError


@pytest.mark.parametrize(
    ("address", "shown", "arguments"),
    [
        ("redis://cache", "cache:6379/0", {"host": "cache", "port": 6379, "db": 0}),
        ("redis://cache:7000/3", "cache:7000/3", {"host": "cache", "port": 7000, "db": 3}),
        ("redis://cache?db=3", "cache:6379/3", {"db": 3}),
        ("redis://:p%40ss@cache", "cache:6379/0", {"password": "p@ss"}),
        ("redis://me:p%2Fss@cache", "cache:6379/0", {"username": "me", "password": "p/ss"}),
        ("redis://cache?username=me&password=p%26ss", "cache:6379/0", {"username": "me", "password": "p&ss"}),
        ("redis://me@cache", "cache:6379/0", {"username": "me", "password": None}),
        ("redis://me:@cache", "cache:6379/0", {"username": "me", "password": None}),
        ("redis://cache?username=m%40e", "cache:6379/0", {"username": "m@e", "password": None}),
        ("unix:///run/redis.sock?username=me", "/run/redis.sock/0", {"username": "me"}),
        ("redis://[::1]:7000", "[::1]:7000/0", {"host": "::1", "port": 7000}),
        ("redis:///2", "localhost:6379/2", {"host": "localhost", "db": 2}),
        ("unix:///run/redis.sock?db=1", "/run/redis.sock/1", {"path": "/run/redis.sock", "db": 1}),
        ("rediss://cache?ssl_cert_reqs=none", "cache:6379/0", {"ssl_cert_reqs": "none"}),
    ],
)
def test_the_client_reads_what_was_meant(address: str, shown: str, arguments: dict[str, object]) -> None:
    parsed = RedisAddress.parse(address)
    assert str(parsed) == shown
    read = Redis.from_url(parsed.url).connection_pool.connection_kwargs
    assert {name: read.get(name) for name in arguments} == arguments


TLS = ("ssl_ca_certs", "ssl_ca_path", "ssl_ca_data", "ssl_certfile", "ssl_keyfile", "ssl_password", "ssl_cert_reqs")


@pytest.mark.parametrize("name", [*URL_QUERY_ARGUMENT_PARSERS, "username", "password", *TLS])
def test_every_parameter_of_the_client_is_taken_or_refused_by_its_name(name: str) -> None:
    try:
        RedisAddress.parse(f"rediss://cache?{name}=nonsense")
    except BadAddressError as refusal:
        assert name in str(refusal) or name == "db"
        assert "nonsense" not in str(refusal)


@pytest.mark.parametrize("name", sorted(redis_addresses._TAKEN))
def test_every_parameter_that_is_taken_reaches_the_client(name: str) -> None:
    values = {"db": "7", "ssl_cert_reqs": "optional", "ssl_check_hostname": "false"}
    certificate = "&ssl_certfile=/c" if name == "ssl_keyfile" else ""
    url = RedisAddress.parse(f"rediss://cache?{name}={values.get(name, 'given')}{certificate}").url
    read = Redis.from_url(url).connection_pool.connection_kwargs
    usual = Redis.from_url(RedisAddress.parse("rediss://cache").url).connection_pool.connection_kwargs
    assert read.get(name) != usual.get(name)


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("redis://cache/nought", "database"),
        ("redis://cache/1?db=2", "db twice"),
        ("redis://:a@cache?password=b", "password twice"),
        ("redis://cache?socket_timeout=1000", "socket_timeout"),
        ("redis://cache?ssl_ca_certs=/ca.pem", "rediss://"),
        ("rediss://cache?ssl_cert_reqs=CERT_NONE", "ssl_cert_reqs"),
        ("rediss://cache?ssl_keyfile=/k", "ssl_certfile"),
        ("redis://a,b", "one server"),
        ("unix://", "one server"),
        ("http://cache", "redis://"),
        ("cache:6379", "redis://"),
    ],
)
def test_what_cannot_be_meant_is_refused(address: str, what: str) -> None:
    with pytest.raises(BadAddressError, match=what):
        RedisAddress.parse(address)


def test_a_file_that_is_not_there_is_named_before_the_client_calls_it_an_outage() -> None:
    with pytest.raises(BadAddressError, match="ssl_ca_certs that cannot be read: No such file"):
        RedisAddress.parse("rediss://cache?ssl_ca_certs=/nowhere/ca.pem").require_files()
