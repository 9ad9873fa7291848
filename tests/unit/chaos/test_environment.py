"""Addresses over a link: the server's own address, with the link's host and port."""

from __future__ import annotations

import pytest

from tools.chaos.environment import address_of, over
from tools.chaos.proxy import Address, Link


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("postgresql://skyhold:secret@127.0.0.1:5432/skyhold", ("127.0.0.1", 5432)),
        ("redis://:secret@127.0.0.1:6379/0", ("127.0.0.1", 6379)),
        ("127.0.0.1:7233", ("127.0.0.1", 7233)),
        (None, None),
    ],
)
def test_a_server_is_found_by_its_address(url: str | None, address: Address | None) -> None:
    assert address_of(url) == address


async def test_an_address_over_a_link_keeps_user_password_and_database() -> None:
    link = Link(lambda: None)
    await link.open()
    try:
        assert over("redis://:secret@127.0.0.1:6379/0", link) == f"redis://:secret@127.0.0.1:{link.port}/0"
        there = over("postgresql://skyhold:secret@127.0.0.1:5432/skyhold", link)
        assert there == f"postgresql://skyhold:secret@127.0.0.1:{link.port}/skyhold"
    finally:
        await link.close()
