"""Addresses of servers by host and port alone."""

from __future__ import annotations

import pytest

from skyhold.bootstrap.addresses import require_host_and_port
from skyhold.setting_errors import BadSettingError, MissingSettingError


@pytest.mark.parametrize(
    "address", ["localhost:7233", "temporal:1", "10.0.0.1:65535", "[::1]:7233", "quickstart.abc12.tmprl.cloud:7233"]
)
def test_a_host_and_a_port_are_an_address(address: str) -> None:
    assert require_host_and_port(address, "TEMPORAL_ADDRESS") == address


@pytest.mark.parametrize(
    "address",
    [
        *(
            "temporal",
            "temporal:",
            ":7233",
            "temporal:0",
            "temporal:65536",
            "temporal:http",
            "::1:7233",
            "temporal :7233",
        ),
        *("http://temporal:7233", "temporal:7233/", "me:hunter2@temporal:7233", "temporal:7233\n"),
    ],
)
def test_nothing_else_is_and_it_is_not_repeated(address: str) -> None:
    with pytest.raises(BadSettingError) as bad:
        require_host_and_port(address, "TEMPORAL_ADDRESS")
    assert str(bad.value) == "TEMPORAL_ADDRESS: must be host:port, such as localhost:7233"


@pytest.mark.parametrize("address", [None, ""])
def test_none_at_all_is_said_as_well(address: str | None) -> None:
    with pytest.raises(MissingSettingError, match="TEMPORAL_ADDRESS is not set"):
        require_host_and_port(address, "TEMPORAL_ADDRESS")
