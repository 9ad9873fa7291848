"""The instance's id: read once, when it is first needed, and again only after a failure."""

from __future__ import annotations

import asyncio

import pytest

from skyhold.domain.errors import DatabaseUnavailable
from skyhold.web.instances import Instance


class Ledger:
    """Returns an id, or fails if it has none."""

    def __init__(self) -> None:
        self.asked = 0
        self.is_there = True

    async def read_id(self) -> str:
        self.asked += 1
        await asyncio.sleep(0)
        if not self.is_there:
            raise DatabaseUnavailable
        return "an-id"


async def test_concurrent_callers_share_one_read_and_later_ones_need_none() -> None:
    ledger = Ledger()
    instance = Instance(ledger.read_id)
    assert instance.known_id is None
    assert ledger.asked == 0
    assert await asyncio.gather(*(instance.id() for _ in range(50))) == ["an-id"] * 50
    assert await instance.id() == "an-id"
    assert ledger.asked == 1


async def test_after_a_failure_the_next_caller_reads_again() -> None:
    ledger = Ledger()
    ledger.is_there = False
    instance = Instance(ledger.read_id)
    for error in await asyncio.gather(*(instance.id() for _ in range(20)), return_exceptions=True):
        assert isinstance(error, DatabaseUnavailable)
    assert ledger.asked == 1
    with pytest.raises(DatabaseUnavailable):
        await instance.id()
    ledger.is_there = True
    assert await instance.id() == "an-id"
    assert ledger.asked == 3
