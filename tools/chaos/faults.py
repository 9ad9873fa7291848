"""The acts of the monkey and their undoing: each act is one function, and undoes itself however it ends."""

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
from tools.chaos.environment import Environment
from tools.chaos.monkey import SUPERVISORS, Act, Fault, Target

T = TypeVar("T")

SHORTEST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 0.05, 1.5
ANSWER_SECONDS = 3.0
BOOKINGS_LOOKED_AT = 200


async def commit(environment: Environment, fault: Fault) -> bool:
    """Inject the fault, and undo it after its time; return False if there was no target."""
    return await _ACTS[fault.act](environment, fault)


async def _kill(environment: Environment, fault: Fault) -> bool:
    """Kill a process with SIGKILL. Its supervisor restarts it; a killed supervisor stays down for the fault's time."""
    processes = environment.processes(fault.target)
    if not processes:
        return False
    target = _picked(processes, fault) if fault.target is Target.POSTGRES_SESSION else processes[0]
    is_supervisor = fault.target in SUPERVISORS
    with environment.site_of(fault.target).held_down() if is_supervisor else contextlib.nullcontext():
        with contextlib.suppress(psutil.NoSuchProcess):
            target.kill()
        await asyncio.sleep(fault.seconds)
    return True


async def _stop(environment: Environment, fault: Fault) -> bool:
    """Suspend a process and its children, and resume them later."""
    processes = environment.processes(fault.target)
    if fault.target is Target.POSTGRES_SESSION and processes:
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


async def _flush(environment: Environment, _: Fault) -> bool:
    """Wipe Redis: all locks, events and rate limits. Cannot be undone."""
    endpoints = environment.near.endpoints
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


async def _cancel(environment: Environment, fault: Fault) -> bool:
    """Cancel a booking's workflow, as an operator does in Temporal's UI. Cannot be undone."""
    return await _to_a_booking(
        environment, fault, lambda handle: handle.cancel(rpc_timeout=timedelta(seconds=ANSWER_SECONDS))
    )


async def _terminate(environment: Environment, fault: Fault) -> bool:
    """Terminate a booking's workflow: its order stays as it is until the reconciler ends it."""
    return await _to_a_booking(
        environment, fault, lambda handle: handle.terminate("chaos", rpc_timeout=timedelta(seconds=ANSWER_SECONDS))
    )


async def _delay(environment: Environment, fault: Fault) -> bool:
    late = SHORTEST_DELAY_SECONDS + (LONGEST_DELAY_SECONDS - SHORTEST_DELAY_SECONDS) * fault.luck**2
    with environment.links[fault.target].delayed(late):
        await asyncio.sleep(fault.seconds)
    return True


async def _stall(environment: Environment, fault: Fault) -> bool:
    with environment.links[fault.target].stalled():
        await asyncio.sleep(fault.seconds)
    return True


async def _refuse(environment: Environment, fault: Fault) -> bool:
    with environment.links[fault.target].refused():
        await asyncio.sleep(fault.seconds)
    return True


async def _drop_replies(environment: Environment, fault: Fault) -> bool:
    with environment.links[fault.target].dropping_replies():
        await asyncio.sleep(fault.seconds)
    return True


async def _reset(environment: Environment, fault: Fault) -> bool:
    return environment.links[fault.target].reset() > 0


async def _to_a_booking(
    environment: Environment, fault: Fault, act: Callable[[WorkflowHandle[object, object]], Awaitable[None]]
) -> bool:
    """Apply an act to one of the running bookings, picked by the fault's luck."""
    endpoints = environment.near.endpoints
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
        # Another fault makes Temporal unavailable, or the booking has ended meanwhile.
        return False
    return True


def _picked(candidates: list[T], fault: Fault) -> T:
    return candidates[min(int(fault.luck * len(candidates)), len(candidates) - 1)]


_ACTS: Mapping[Act, Callable[[Environment, Fault], Awaitable[bool]]] = {
    Act.KILL: _kill,
    Act.STOP: _stop,
    Act.FLUSH: _flush,
    Act.CANCEL: _cancel,
    Act.TERMINATE: _terminate,
    Act.DELAY: _delay,
    Act.STALL: _stall,
    Act.REFUSE: _refuse,
    Act.RESET: _reset,
    Act.DROP_REPLIES: _drop_replies,
}
