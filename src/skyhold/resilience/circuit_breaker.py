"""A circuit breaker: while a server is unavailable, it is tried once in a while, not by every call."""

from __future__ import annotations

import math
import time
from collections.abc import Callable


class CircuitBreaker:
    """Opens at a failure, closes at a success; while it is open, one call per pause is let through.

    So an outage costs one timeout per pause, whatever the number of calls. Safe within one event loop.
    """

    def __init__(self, pause_seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._pause_seconds = pause_seconds
        self._clock = clock
        self.is_open = False
        self.failed_at = -math.inf
        """The time of the last failure, by the monotonic clock."""
        self.retry_at = -math.inf
        """The time at which the next call is let through while it is open."""

    def lets_through(self) -> bool:
        """Return whether this call may go to the server; while it is open, that uses up the pause's one call."""
        if not self.is_open:
            return True
        now = self._clock()
        if now < self.retry_at:
            return False
        self.retry_at = now + self._pause_seconds
        return True

    def fail(self) -> bool:
        """Record that the server did not answer; return True if that opened the breaker."""
        was_open, self.is_open = self.is_open, True
        self.failed_at = self._clock()
        self.retry_at = self.failed_at + self._pause_seconds
        return not was_open

    def succeed(self) -> bool:
        """Record that the server answered; return True if that closed the breaker."""
        was_open, self.is_open = self.is_open, False
        return was_open
