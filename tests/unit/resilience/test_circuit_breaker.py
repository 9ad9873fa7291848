"""The circuit breaker: one call per pause while a server is unavailable."""

from __future__ import annotations

import pytest

from skyhold.resilience.circuit_breaker import CircuitBreaker


class Clock:
    """A clock that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(1.0, clock=clock)


def test_every_call_is_let_through_while_the_server_answers(breaker: CircuitBreaker) -> None:
    assert all(breaker.lets_through() for _ in range(3))
    assert not breaker.succeed()


def test_a_failure_stops_the_calls_for_a_pause_and_then_lets_one_through(breaker: CircuitBreaker, clock: Clock) -> None:
    assert breaker.fail()
    assert not breaker.lets_through()
    clock.now += 1.0
    assert [breaker.lets_through() for _ in range(3)] == [True, False, False]
    clock.now += 1.0
    assert [breaker.lets_through() for _ in range(3)] == [True, False, False], "the call before had no outcome"
    assert not breaker.fail(), "it was open already"
    assert breaker.failed_at == clock.now


def test_a_success_closes_it(breaker: CircuitBreaker, clock: Clock) -> None:
    breaker.fail()
    clock.now += 1.0
    assert breaker.lets_through()
    assert breaker.succeed()
    assert all(breaker.lets_through() for _ in range(3))
    assert not breaker.is_open
