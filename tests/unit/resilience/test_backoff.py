"""Backoff: pauses that grow to a limit, and differ from client to client."""

from __future__ import annotations

from skyhold.resilience.backoff import Backoff


def test_pauses_double_to_the_longest_and_begin_again() -> None:
    backoff = Backoff(0.1, 1.0)
    for whole in (0.1, 0.2, 0.4, 0.8, 1.0, 1.0):
        assert whole / 2 <= backoff.next() <= whole
    backoff.reset()
    assert backoff.next() <= 0.1


def test_two_clients_do_not_come_back_at_the_same_moment() -> None:
    assert len({Backoff(1.0, 1.0).next() for _ in range(20)}) > 1
