"""Backoff: growing pauses between the attempts to reach a server."""

from __future__ import annotations

import random


class Backoff:
    """Pauses that double from `first` to `longest` seconds.

    Each is shortened at random by up to a half: otherwise all clients of a server would return at the same moment.
    """

    def __init__(self, first: float, longest: float) -> None:
        self._first = first
        self._longest = longest
        self._next = first

    def next(self) -> float:
        """Return the seconds to wait before the next attempt."""
        pause = min(self._next, self._longest)
        self._next = 2 * pause
        return pause * random.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Begin again with the first pause, after an attempt that succeeded."""
        self._next = self._first
