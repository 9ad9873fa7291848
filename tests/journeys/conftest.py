from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.stacks import Stack, new_stack


@pytest.fixture(scope="session")
def quick_stack() -> Iterator[Stack]:
    """A stack whose gateway answers at once and whose holds last ten seconds, for tests with seats of their own.

    Ten seconds allow two commands in sequence on a busy machine, and are short enough to wait for the end.
    """
    with new_stack() as stack:
        stack.start(SEAT_RESERVATION_TIMEOUT="10s", PAYMENT_FAILURE_RATE="0", PAYMENT_SIMULATED_LATENCY="0s")
        yield stack
