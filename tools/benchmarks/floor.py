"""The floor: a workflow with the messages of a booking and no work in them, its worker, and an API that calls it.

It measures the cost of Temporal, HTTP and Python alone on this machine, to separate Skyhold's own share.

    python -m tools.benchmarks.floor worker|api    TEMPORAL_ADDRESS, TEMPORAL_TASK_QUEUE and SERVER_PORT as for Skyhold
"""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import timedelta
from typing import Any

import uvicorn
import uvloop
from fastapi import FastAPI, Request
from temporalio import workflow
from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from skyhold.messages import AWAIT_HOLD, PROCEED_TO_PAYMENT
from skyhold.worker import STICKY_TIMEOUT
from skyhold.workflows.booking_client import COMMAND_TIMEOUT, TASK_TIMEOUT
from skyhold.workflows.payloads import DATA_CONVERTER

FLOOR_WORKFLOW = "FloorWorkflow"

HELD = {
    "status": "SEATS_RESERVED",
    "seats": ["12A"],
    "totalPriceCents": 35000,
    "currency": "USD",
    "version": 1,
    "expiresAt": "2026-03-01T12:15:00.000Z",
    "maxExpiresAt": "2026-03-01T14:00:00.000Z",
}


@workflow.defn(name=FLOOR_WORKFLOW)
class FloorWorkflow:
    """Replies that seats are held, waits for a payment with a timer, replies that it is accepted, and ends."""

    def __init__(self) -> None:
        self.is_paid = False

    @workflow.run
    async def run(self, _wish: dict[str, Any]) -> dict[str, Any]:
        """Wait for the payment or the timer."""
        await workflow.wait_condition(lambda: self.is_paid, timeout=timedelta(minutes=15))
        return HELD | {"status": "CONFIRMED"}

    @workflow.update(name=AWAIT_HOLD)
    async def await_hold(self, _: dict[str, Any]) -> dict[str, Any]:
        """Reply at once."""
        return HELD

    @workflow.update(name=PROCEED_TO_PAYMENT)
    async def proceed_to_payment(self, _: dict[str, Any]) -> dict[str, Any]:
        """Reply at once."""
        self.is_paid = True
        return HELD


async def hold(client: Client, order_id: str, wish: dict[str, Any], *, task_queue: str) -> dict[str, Any]:
    """Start the floor's workflow and return its hold, by the same call as a booking's."""
    start: WithStartWorkflowOperation[Any, dict[str, Any]] = WithStartWorkflowOperation(
        FLOOR_WORKFLOW,
        wish,
        id=f"floor-{order_id}",
        task_queue=task_queue,
        task_timeout=TASK_TIMEOUT,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        result_type=dict,
    )
    reply: dict[str, Any] = await client.execute_update_with_start_workflow(
        AWAIT_HOLD,
        {},
        start_workflow_operation=start,
        id=f"hold-{order_id}",
        result_type=dict,
        rpc_timeout=COMMAND_TIMEOUT,
    )
    return reply


def _app(client: Client, task_queue: str) -> FastAPI:
    app = FastAPI()

    @app.post("/api/orders", status_code=201)
    async def create_order(request: Request) -> dict[str, Any]:
        wish = await request.json()
        return await hold(client, wish["orderId"], wish, task_queue=task_queue)

    return app


async def _main(part: str) -> None:
    task_queue = os.environ["TEMPORAL_TASK_QUEUE"]
    client = await Client.connect(os.environ["TEMPORAL_ADDRESS"], data_converter=DATA_CONVERTER)
    if part == "worker":
        await Worker(
            client,
            task_queue=task_queue,
            workflows=[FloorWorkflow],
            workflow_runner=UnsandboxedWorkflowRunner(),
            sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
        ).run()
    else:
        port = int(os.environ["SERVER_PORT"])
        config = uvicorn.Config(_app(client, task_queue), port=port, log_config=None, access_log=False)
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    # The same as Skyhold's own: the API on uvloop, the worker on asyncio's loop.
    (uvloop.run if sys.argv[1] == "api" else asyncio.run)(_main(sys.argv[1]))
