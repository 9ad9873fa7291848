"""Open bookings of earlier versions continue with today's code: every saved history replays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from skyhold.worker import WORKFLOWS, workflow_runner
from skyhold.workflows.payloads import DATA_CONVERTER

HISTORIES = {path.stem: path.read_text() for path in (Path(__file__).parent / "histories").glob("*.json")}


def test_histories_of_every_path_are_saved() -> None:
    assert len(HISTORIES) >= 20


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
async def test_a_saved_history_replays(history: str) -> None:
    started = json.loads(history)["events"][0]["workflowExecutionStartedEventAttributes"]
    await _replayer().replay_workflow(WorkflowHistory.from_json(started["workflowId"], history))


async def test_a_story_that_was_changed_is_noticed() -> None:
    history = HISTORIES["held-and-paid"].replace("ValidatePayment", "AnotherActivity")
    started = json.loads(history)["events"][0]["workflowExecutionStartedEventAttributes"]
    with pytest.raises(Exception, match="Nondeterminism"):
        await _replayer().replay_workflow(WorkflowHistory.from_json(started["workflowId"], history))


def _replayer() -> Replayer:
    return Replayer(
        workflows=WORKFLOWS, workflow_runner=workflow_runner(is_sandboxed=True), data_converter=DATA_CONVERTER
    )
