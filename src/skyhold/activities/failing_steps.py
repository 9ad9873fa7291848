"""Steps that fail in this process, remembered while they fail: which, of which workflow, and by what kind of error.

A local activity that is tried again and again is nowhere in Temporal until it ends, so an order that waits for one
looks like any other. What fails is known to the worker alone; a query of the booking asks for it here. No message of an
error is kept, since it may carry values.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import asdict, dataclass
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

REMEMBERED_LIMIT = 10_000


@dataclass(frozen=True)
class FailingStep:
    """An activity whose last attempt failed, and the classes of its error and of what caused that."""

    step: str
    error: str
    attempt: int


class FailingSteps:
    """The steps that fail now, by workflow id."""

    def __init__(self, limit: int = REMEMBERED_LIMIT) -> None:
        self._limit = limit
        self._failing: OrderedDict[str, FailingStep] = OrderedDict()

    def failed(self, workflow_id: str, failing: FailingStep) -> None:
        """Remember the step, and forget what failed longest ago if there is too much."""
        self._failing[workflow_id] = failing
        self._failing.move_to_end(workflow_id)
        if len(self._failing) > self._limit:
            self._failing.popitem(last=False)

    def succeeded(self, workflow_id: str) -> None:
        """Forget the workflow's step: it does not fail any more."""
        self._failing.pop(workflow_id, None)

    def of(self, workflow_id: str) -> dict[str, Any] | None:
        """Return the workflow's failing step, as a query answers it, or None."""
        failing = self._failing.get(workflow_id)
        return asdict(failing) if failing else None


FAILING_STEPS = FailingSteps()
"""Those of this process, which has one worker."""


def error_name(error: BaseException) -> str:
    """Return the class of an error, with that of its cause: `DatabaseUnavailable from ReadOnlySQLTransactionError`."""
    name = error.type if isinstance(error, ApplicationError) and error.type else type(error).__name__
    return f"{name} from {type(error.__cause__).__name__}" if error.__cause__ else name


class FailingStepsInterceptor(Interceptor):
    """Notes how each activity of a worker ends."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's
        """Put the note behind every activity."""
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
