"""Steps that currently fail in this process, by workflow: the activity, the class of its error, the attempt.

A local activity that is being retried does not appear in Temporal until it ends, so an order that waits for one looks
like any other. Only the worker knows the failure; the booking's query reads it here. No error message is kept, since it
may contain values.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

from cachetools import LRUCache
from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from skyhold.readers.booking_runs import FailingStep

REMEMBERED_LIMIT = 10_000


class FailingSteps:
    """The currently failing steps, by workflow id."""

    def __init__(self, limit: int = REMEMBERED_LIMIT) -> None:
        self._failing: LRUCache[str, FailingStep] = LRUCache(limit)

    def failed(self, workflow_id: str, failing: FailingStep) -> None:
        """Store the step; above the limit, drop the one that was least recently stored or read."""
        self._failing[workflow_id] = failing

    def succeeded(self, workflow_id: str) -> None:
        """Remove the workflow's step: it no longer fails."""
        self._failing.pop(workflow_id, None)

    def of(self, workflow_id: str) -> dict[str, Any] | None:
        """Return the workflow's failing step, in the format of the query's reply, or None."""
        failing = self._failing.get(workflow_id)
        return asdict(failing) if failing else None


FAILING_STEPS = FailingSteps()
"""The failing steps of this process, which has one worker."""


def error_name(error: BaseException) -> str:
    """Return the class of an error, with that of its cause: `DatabaseUnavailable from ReadOnlySQLTransactionError`."""
    name = error.type if isinstance(error, ApplicationError) and error.type else type(error).__name__
    return f"{name} from {type(error.__cause__).__name__}" if error.__cause__ else name


class FailingStepsInterceptor(Interceptor):
    """Records the failure or success of each activity of a worker."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's
        """Wrap every activity."""
        return _Noted(super().intercept_activity(next))


class _Noted(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's name for it
        info = activity.info()
        workflow_id = info.workflow_id or ""
        try:
            result = await super().execute_activity(input)
        except (Exception, asyncio.CancelledError) as error:
            FAILING_STEPS.failed(workflow_id, FailingStep(info.activity_type, error_name(error), info.attempt))
            raise
        FAILING_STEPS.succeeded(workflow_id)
        return result
