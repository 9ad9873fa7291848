"""A worker detects that its Temporal was replaced by one without its data, and does not mistake an outage for it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from temporalio.client import Client

from skyhold.bootstrap.temporal import describe_namespace, until_replaced
from skyhold_local.embedded.ports import LOOPBACK, free_port

QUICKLY = timedelta(seconds=0.01)


async def test_another_namespace_under_the_same_name_is_found_out(temporal_client: Client) -> None:
    async with asyncio.timeout(10):
        await until_replaced(temporal_client, "one that was here before", every=QUICKLY)


async def test_the_namespace_in_which_it_began_is_not_taken_for_another(temporal_client: Client) -> None:
    namespace_id, _ = await describe_namespace(temporal_client)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await until_replaced(temporal_client, namespace_id, every=QUICKLY)


async def test_a_server_that_is_away_is_waited_for() -> None:
    client = await Client.connect(f"{LOOPBACK}:{free_port()}", lazy=True)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await until_replaced(client, "any", every=QUICKLY)
