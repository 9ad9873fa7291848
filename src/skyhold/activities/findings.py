"""How the reconciler's findings are told: in sentences, in the log of the worker, and by a count of each kind."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from temporalio import activity

from skyhold.domain.seats import sort_seats
from skyhold.messages import Finding, Trouble

_LOCK_DETAILS = {
    Trouble.LOCK_WITHOUT_HOLD: "A lock without a hold: {seats}.",
    Trouble.HOLD_WITHOUT_LOCK: "A hold without its lock: {seats}.",
    Trouble.WRONG_LOCK: "A lock that was another order's, or would never have ended: {seats}.",
}

_log = structlog.get_logger(__name__)


def lock_finding(trouble: Trouble, order_id: str, seats: Sequence[str]) -> Finding:
    """Return what was found of an order's locks and set right."""
    detail = _LOCK_DETAILS[trouble].format(seats=", ".join(sort_seats(seats)))
    return Finding(trouble, order_id, detail, is_mended=True, result="It was set right.")


def note(trouble: Trouble, order_id: str | None, detail: str) -> None:
    """Log and count a finding."""
    _log.warning("the reconciler found something wrong", finding=trouble.value, order=order_id, detail=detail)
    counter = activity.metric_meter().create_counter(
        "skyhold_reconciler_findings", "What the reconciler found wrong, by kind", "1"
    )
    counter.add(1, {"finding": trouble.value})
