"""Telling the world what a step changed, after the ledger has committed it."""

from __future__ import annotations

from dataclasses import replace

from skyhold.events.changes import Change, Publish
from skyhold.messages import Answer, Outcome

_CHANGING = frozenset({Outcome.DONE, Outcome.REFUSED, Outcome.OPEN})
"""Answers of steps that are in the ledger; a refusal changes what the customer reads of the order, too."""


def told(answer: Answer, publish: Publish) -> Answer:
    """Publish what the answered step changed, and return the answer as it may cross Temporal."""
    order = answer.order
    if order is not None and answer.outcome in _CHANGING:
        publish(Change(order.id, order.flight_id, answer.changed_seats))
    return replace(answer, changed_seats=())
