"""Random walks of the real activities over the real ledger, beside its model; see support/ledger_walk.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from skyhold.activities import payments
from skyhold.queries import database
from support.ledger_walk import BLOCKED, SEATS, LedgerWalk
from support.ledger_world import GATEWAY_TIMEOUT_SECONDS, LedgerWorld
from support.models import SHRINK_SECONDS, walk, walk_at_random

pytestmark = pytest.mark.rest

USUAL = {
    *("ReserveSeats done", "UpdateSeatSelection done", "RefreshSeatLocks done", "ValidatePayment done"),
    *("ValidatePayment open", "ClosePayment done", "ConfirmOrder done", "FailOrder done", "ExpireOrder done"),
    *("SeatsUnavailable", "OrderIdTaken", "robbed"),
}
"""Events that even a few walks must have seen, otherwise they prove nothing."""

RARE = {
    *("ReserveSeats refused", "UpdateSeatSelection refused", "RefreshSeatLocks refused", "ValidatePayment refused"),
    *("ValidatePayment None", "ClosePayment None", "ConfirmOrder broken", "FailOrder broken", "ValidatePayment stale"),
    *(
        "FlightNotFound",
        "FlightDeparted",
        "HoldLimit",
        "InvalidSeats",
        "DeadlineExceeded",
        "HoldExpired",
        "OrderChanged",
    ),
    *("TooManyChanges", "PaymentDeclined", "PaymentFailed", "SeatsLost", "refunded", "ReserveSeats stale"),
    *("stood still", "stood still and came late", "extended", "PriceChanged"),
}
"""Further events that long walks must have seen."""


@pytest.fixture
def machine(database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[LedgerWalk]]:
    monkeypatch.setattr(payments, "GATEWAY_LIMIT_SECONDS", GATEWAY_TIMEOUT_SECONDS)
    monkeypatch.setattr(database, "READ_TIMEOUT", 60.0)  # a slow machine breaks no invariant
    LedgerWalk.world = LedgerWorld(database_url, redis_url, SEATS, BLOCKED)
    yield LedgerWalk
    LedgerWalk.world.close()


@pytest.mark.timeout(SHRINK_SECONDS)
def test_the_ledger_does_what_its_model_does(machine: type[LedgerWalk]) -> None:
    walk(machine, walks=30, steps_each=40, until_seen=USUAL)


@pytest.mark.long
@pytest.mark.timeout(SHRINK_SECONDS + 900)
def test_the_ledger_does_what_its_model_does_on_long_walks(machine: type[LedgerWalk]) -> None:
    walk_at_random(machine, steps=15_000, steps_each=40, within_seconds=900)
    assert set(machine.seen) >= USUAL | RARE, (USUAL | RARE) - set(machine.seen)
