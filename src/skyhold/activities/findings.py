"""Reporting of the reconciler's findings: sentences, log lines of the worker, and a counter per kind."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from temporalio import activity

from skyhold.domain.seats import sort_seats
from skyhold.reconciliation_messages import Repair, RepairKind

_LOCK_DETAILS = {
    RepairKind.LOCK_WITHOUT_HOLD: "A lock without a hold: {seats}.",
    RepairKind.HOLD_WITHOUT_LOCK: "A hold without its lock: {seats}.",
    RepairKind.WRONG_LOCK: "A lock of another order, or without a TTL: {seats}.",
}

_log = structlog.get_logger(__name__)


def lock_finding(trouble: RepairKind, order_id: str, seats: Sequence[str]) -> Repair:
    """Return the finding for an order's seat locks that were repaired."""
    detail = _LOCK_DETAILS[trouble].format(seats=", ".join(sort_seats(seats)))
    return Repair(trouble, order_id, detail, is_mended=True, result="It was set right.")


def note(trouble: RepairKind, order_id: str | None, detail: str) -> None:
    """Log and count a finding."""
    _log.warning("reconciler finding", finding=trouble.value, order=order_id, detail=detail)
    counter = activity.metric_meter().create_counter(
        "skyhold_reconciler_findings", "Findings of the reconciler, by kind", "1"
    )
    counter.add(1, {"finding": trouble.value})
