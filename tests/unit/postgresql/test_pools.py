"""A pool's sessions after callers time out on a silent server."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from skyhold.postgresql.pools import Pool


class SilentPool:
    """Lends sessions of a silent server: none of them can be closed in time."""

    def __init__(self) -> None:
        self.is_released = asyncio.Event()

    async def acquire(self) -> object:
        return object()

    async def release(self, _: object, *, timeout: float) -> None:  # noqa: ASYNC109 - as asyncpg's
        await asyncio.shield(self._close(timeout / 100))

    async def _close(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.is_released.set()
        raise TimeoutError


async def _read(pool: Pool) -> None:
    await pool._run(lambda _: asyncio.sleep(60))


async def _use(pool: Pool) -> None:
    async with pool.acquire():
        await asyncio.sleep(60)


@pytest.mark.parametrize("use", [_read, _use])
async def test_a_caller_cancelled_again_while_its_session_is_released_leaves_no_failure_to_the_loop(use: Any) -> None:
    pool = Pool.__new__(Pool)
    pool._pool = silent = SilentPool()  # type: ignore[assignment]
    left: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: left.append(context))
    try:
        caller = asyncio.create_task(use(pool))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for _ in range(2):
            caller.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await asyncio.wait([caller])
        await asyncio.wait_for(silent.is_released.wait(), 10)
        await asyncio.sleep(0.01)
        gc.collect()
    finally:
        loop.set_exception_handler(None)
    assert left == []
