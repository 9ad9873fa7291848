"""Listening addresses of the API, and the error if it cannot listen."""

from __future__ import annotations

import socket

import pytest

from skyhold.addresses.listening import CannotListenError, host_to_call, open_listener

has_ipv6 = socket.has_dualstack_ipv6()


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), 2):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6, reason="this machine has no IPv6")
@pytest.mark.parametrize(
    ("host", "families"),
    [
        ("127.0.0.1", {"127.0.0.1"}),
        ("0.0.0.0", {"127.0.0.1"}),  # noqa: S104 - the value under test
        ("::", {"127.0.0.1", "::1"}),
        ("[::]", {"127.0.0.1", "::1"}),
        ("::1", {"::1"}),
        ("localhost", {"127.0.0.1"}),
    ],
)
def test_a_host_is_listened_on_in_the_families_that_it_stands_for(host: str, families: set[str]) -> None:
    with open_listener(host, 0, backlog=1) as listener:
        port = listener.getsockname()[1]
        assert {address for address in ("127.0.0.1", "::1") if _answers(address, port)} == families
        assert host_to_call(host) in {*families, "localhost"}


@pytest.mark.parametrize(
    ("host", "what"),
    [
        ("no-such-host.invalid", "its name is not known"),
        ("not a host", "its name is not known"),
        ("a" * 300, "its name is not known"),
        ("192.0.2.1", "it is not an address of this machine"),
        ("2001:db8::1", "it is not an address of this machine"),
    ],
)
def test_a_host_that_is_not_ours_is_a_bad_setting(host: str, what: str) -> None:
    with pytest.raises(CannotListenError, match=what) as refusal:
        open_listener(host, 0, backlog=1)
    assert not refusal.value.is_taken
    assert "SERVER_HOST" in str(refusal.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "::"])
def test_a_port_that_is_taken_is_told_apart(host: str) -> None:
    with open_listener(host, 0, backlog=1) as listener:
        with pytest.raises(CannotListenError, match="port is taken") as refusal:
            open_listener(host, listener.getsockname()[1], backlog=1)
        assert refusal.value.is_taken
