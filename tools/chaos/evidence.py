"""The evidence about an order with a violation: its row, its log, and the history of its workflow."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.service import RPCError

from skyhold.machine.endpoints import Endpoints
from skyhold.messages import workflow_id_of
from tools.chaos.ledger import Ledger

_ANSWER_SECONDS = 10.0


async def keep_story(directory: Path, endpoints: Endpoints, ledger: Ledger, order_id: str) -> None:
    """Write the order's data in the ledger and in Temporal into a file of the directory."""
    story = await ledger.story(order_id) | await _workflow(endpoints, order_id)
    folder = directory / "evidence"
    folder.mkdir(exist_ok=True)
    (folder / f"{order_id}.json").write_text(json.dumps(story, indent=2, default=str), encoding="utf-8")


async def _workflow(endpoints: Endpoints, order_id: str) -> dict[str, Any]:
    bound = timedelta(seconds=_ANSWER_SECONDS)
    try:
        client = await Client.connect(endpoints.temporal, namespace=endpoints.namespace)
        handle = client.get_workflow_handle(workflow_id_of(order_id))
        description = await handle.describe(rpc_timeout=bound)
        history = await handle.fetch_history(rpc_timeout=bound)
    except (RPCError, RuntimeError) as error:
        return {"workflow": str(error)}
    return {"workflow": str(description.status), "run": description.run_id, "history": history.to_json_dict()}
