"""A world with one order of each kind, for the audits of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from skyhold.domain.orders import Policy
from skyhold.postgresql.pools import Pool
from support.bookings import Bookings, running_bookings


@pytest.fixture
async def world(temporal_client: Client, pool: Pool, redis_url: str) -> AsyncIterator[Bookings]:
    async with running_bookings(temporal_client, pool, redis_url, policy=Policy(hold_seconds=60)) as world:
        yield world
