"""The worker: its workflows and activities on the booking queue, and its options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from skyhold.activities.failing_steps import FailingStepsInterceptor
from skyhold.activities.orders import OrderActivities
from skyhold.activities.payments import PaymentActivities
from skyhold.activities.reconciliation import ReconciliationActivities
from skyhold.activities.seats import SeatActivities
from skyhold.workflows.booking import BookingWorkflow
from skyhold.workflows.reconciliation import ReconciliationWorkflow

WORKFLOWS: tuple[type, ...] = (BookingWorkflow, ReconciliationWorkflow)

PASSED_THROUGH = (
    "skyhold.domain",
    "skyhold.messages",
    "skyhold.activities",
    "skyhold.events",
    "skyhold.payments",
    "skyhold.workflows.inbox",
    "skyhold.workflows.payloads",
    "skyhold.workflows.policies",
    "skyhold.workflows.refusals",
    "skyhold.workflows.views",
)
"""Modules that the sandbox does not import again: importing a class twice makes two classes, and isinstance fails."""

STICKY_TIMEOUT = timedelta(seconds=0.5)
"""Time that an order waits for a dead worker before another one takes over (docs/rules.md#the-clock)."""

GRACEFUL_SHUTDOWN = timedelta(seconds=3)


def activities_of(
    seats: SeatActivities,
    payments: PaymentActivities,
    orders: OrderActivities,
    reconciliation: ReconciliationActivities,
) -> list[Callable[..., Any]]:
    """Return every activity: the booking's, in the sequence of docs/rules.md#activities, then the reconciler's own."""
    return [
        seats.reserve_seats,
        seats.update_seat_selection,
        seats.refresh_seat_locks,
        seats.release_seats,
        payments.validate_payment,
        payments.close_payment,
        payments.refund_payment,
        orders.confirm_order,
        orders.fail_order,
        orders.expire_order,
        reconciliation.survey_orders,
        reconciliation.survey_money,
        reconciliation.survey_seat_locks,
        reconciliation.examine_order,
        reconciliation.end_workflow,
        reconciliation.mend_seat_locks,
        payments.owe_refund,
    ]


def workflow_runner(*, is_sandboxed: bool) -> WorkflowRunner:
    """Return the runner of workflow code: the sandbox, which detects non-determinism, or one without its cost."""
    if not is_sandboxed:
        return UnsandboxedWorkflowRunner()
    return SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH))


def build_worker(
    client: Client,
    activities: Sequence[Callable[..., Any]],
    *,
    task_queue: str,
    max_cached_workflows: int = 1000,
    is_sandboxed: bool = True,
) -> Worker:
    """Return a worker that is ready to be run."""
    return Worker(
        client,
        task_queue=task_queue,
        workflows=list(WORKFLOWS),
        activities=list(activities),
        interceptors=[FailingStepsInterceptor()],
        workflow_runner=workflow_runner(is_sandboxed=is_sandboxed),
        graceful_shutdown_timeout=GRACEFUL_SHUTDOWN,
        sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
        max_cached_workflows=max_cached_workflows,
    )
