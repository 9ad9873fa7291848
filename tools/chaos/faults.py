"""What is done to a victim, and how it is undone: each act is one function, and undoes itself however it ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import TypeVar

import psutil
from redis.asyncio import Redis
from redis.exceptions import RedisError
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError

from skyhold.messages import BOOKING_WORKFLOW
from tools.chaos.ground import Ground
from tools.chaos.monkey import SUPERVISORS, Act, Fault, Victim

T = TypeVar("T")

SHORTEST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 0.05, 1.5
ANSWER_SECONDS = 3.0
BOOKINGS_LOOKED_AT = 200


async def commit(ground: Ground, fault: Fault) -> bool:
    """Do it, and undo it after its time; False if nobody was there to do it to."""
    return await _ACTS[fault.act](ground, fault)


async def _kill(ground: Ground, fault: Fault) -> bool:
    """End a process as a crash does. Its supervisor starts it again; a supervisor stays away for a while."""
    processes = ground.processes(fault.victim)
    if not processes:
        return False
    victim = _picked(processes, fault) if fault.victim is Victim.POSTGRES_SESSION else processes[0]
    is_supervisor = fault.victim in SUPERVISORS
    with ground.site_of(fault.victim).held_down() if is_supervisor else contextlib.nullcontext():
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.kill()
        await asyncio.sleep(fault.seconds)
    return True


async def _stop(ground: Ground, fault: Fault) -> bool:
    """Stop a process where it is, and what belongs to it, and let it go on later as if nothing had been."""
    processes = ground.processes(fault.victim)
    if fault.victim is Victim.POSTGRES_SESSION and processes:
        processes = [_picked(processes, fault)]
    try:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        await asyncio.sleep(fault.seconds if processes else 0)
    finally:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()
    return bool(processes)


async def _flush(ground: Ground, _: Fault) -> bool:
    """Wipe Redis: every lock, every event, every count of a limit. Nothing undoes it."""
    endpoints = ground.near.endpoints
    if endpoints is None:
        return False
    async with Redis.from_url(
        endpoints.redis_url, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS
    ) as redis:
        try:
            await redis.flushall()
        except (RedisError, OSError):
            return False
    return True


async def _cancel(ground: Ground, fault: Fault) -> bool:
    """Cancel a booking's workflow, as an operator does in Temporal's pages. Nothing undoes it."""
    return await _to_a_booking(
        ground, fault, lambda handle: handle.cancel(rpc_timeout=timedelta(seconds=ANSWER_SECONDS))
    )


async def _terminate(ground: Ground, fault: Fault) -> bool:
    """Terminate a booking's workflow: its order is left as it is. The reconciler mends it."""
    return await _to_a_booking(
        ground, fault, lambda handle: handle.terminate("chaos", rpc_timeout=timedelta(seconds=ANSWER_SECONDS))
    )


async def _delay(ground: Ground, fault: Fault) -> bool:
    late = SHORTEST_DELAY_SECONDS + (LONGEST_DELAY_SECONDS - SHORTEST_DELAY_SECONDS) * fault.luck**2
    with ground.links[fault.victim].delayed(late):
        await asyncio.sleep(fault.seconds)
    return True


async def _stall(ground: Ground, fault: Fault) -> bool:
    with ground.links[fault.victim].stalled():
        await asyncio.sleep(fault.seconds)
    return True


async def _refuse(ground: Ground, fault: Fault) -> bool:
    with ground.links[fault.victim].refused():
        await asyncio.sleep(fault.seconds)
    return True


async def _deafen(ground: Ground, fault: Fault) -> bool:
    with ground.links[fault.victim].deaf():
        await asyncio.sleep(fault.seconds)
    return True


async def _reset(ground: Ground, fault: Fault) -> bool:
    return ground.links[fault.victim].reset() > 0


async def _to_a_booking(
    ground: Ground, fault: Fault, act: Callable[[WorkflowHandle[object, object]], Awaitable[None]]
) -> bool:
    """Do something to one of the bookings that are running, picked by the fault's luck."""
    endpoints = ground.near.endpoints
    if endpoints is None:
        return False
    query = f"WorkflowType = '{BOOKING_WORKFLOW}' AND ExecutionStatus = 'Running'"
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            client = await Client.connect(endpoints.temporal, namespace=endpoints.namespace)
            listed = client.list_workflows(query, limit=BOOKINGS_LOOKED_AT)
            running = sorted([found.id async for found in listed])
            if not running:
                return False
            await act(client.get_workflow_handle(_picked(running, fault)))
    except (RPCError, RuntimeError, TimeoutError):
        # Temporal is away by another fault, or the booking has ended meanwhile.
        return False
    return True


def _picked(candidates: list[T], fault: Fault) -> T:
    return candidates[min(int(fault.luck * len(candidates)), len(candidates) - 1)]


_ACTS: Mapping[Act, Callable[[Ground, Fault], Awaitable[bool]]] = {
    Act.KILL: _kill,
    Act.STOP: _stop,
    Act.FLUSH: _flush,
    Act.CANCEL: _cancel,
    Act.TERMINATE: _terminate,
    Act.DELAY: _delay,
    Act.STALL: _stall,
    Act.REFUSE: _refuse,
    Act.RESET: _reset,
    Act.DEAFEN: _deafen,
}
