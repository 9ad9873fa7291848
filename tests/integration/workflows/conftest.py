from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from temporalio.client import Client

from skyhold.domain.orders import Policy
from skyhold.stores.postgres import Pool
from support.bookings import Bookings, OpenWorld, running_bookings
from support.gateways import Act, ScriptedGateway


@pytest.fixture
async def open_world(temporal_client: Client, pool: Pool, redis_url: str) -> AsyncIterator[OpenWorld]:
    """Opens a world in which bookings run: with this policy, a gateway that follows this script."""
    async with AsyncExitStack() as stack:

        async def open_one(*script: Act, late: float = 0.0, cache: int = 1000, **policy: float) -> Bookings:
            gateway = ScriptedGateway(pool, script or (Act.APPROVE,), late=late)
            return await stack.enter_async_context(
                running_bookings(
                    temporal_client,
                    pool,
                    redis_url,
                    policy=Policy(**policy),  # type: ignore[arg-type]
                    gateway=gateway,
                    max_cached_workflows=cache,
                )
            )

        yield open_one


@pytest.fixture
async def world(open_world: OpenWorld) -> Bookings:
    """A world with the usual policy."""
    return await open_world()
