"""Publishing of the changes that a step made, after the ledger has committed them."""

from __future__ import annotations

from dataclasses import replace

from skyhold.events.changes import Change, Publish
from skyhold.messages import Answer, Outcome

_CHANGING = frozenset({Outcome.DONE, Outcome.REFUSED, Outcome.OPEN})
"""Outcomes of steps that are stored in the ledger; a refusal also changes the order that the customer reads."""


def publish_change(answer: Answer, publish: Publish) -> Answer:
    """Publish the changes of the answered step, and return the answer in the form that is sent to Temporal."""
    order = answer.order
    if order is not None and answer.outcome in _CHANGING:
        publish(Change(order.id, order.flight_id, answer.changed_seats))
    return replace(answer, changed_seats=())
