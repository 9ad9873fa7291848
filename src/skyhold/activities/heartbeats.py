"""Heartbeats of an activity that waits for a server: Temporal detects a dead worker and waits for a slow one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from temporalio import activity

HEARTBEAT_SECONDS = 1.0


@contextlib.asynccontextmanager
async def heartbeats() -> AsyncIterator[None]:
    """Send heartbeats during the block, so that Temporal detects a dead worker within the heartbeat timeout."""

    async def beat() -> None:
        while True:
            activity.heartbeat()
            await asyncio.sleep(HEARTBEAT_SECONDS)

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
