from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.stacks import Stack, new_stack


@pytest.fixture(scope="session")
def quick_stack() -> Iterator[Stack]:
    """A stack whose holds last five seconds and whose gateway answers at once; for journeys with seats of their own."""
    with new_stack() as stack:
        stack.start(SEAT_RESERVATION_TIMEOUT="5s", PAYMENT_FAILURE_RATE="0", PAYMENT_SIMULATED_LATENCY="0s")
        yield stack
