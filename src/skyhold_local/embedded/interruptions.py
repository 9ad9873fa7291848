"""Signals that request a running program to stop. Does not define how it stops."""

import signal
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LONGEST_SLEEP_SECONDS = 0.05
# Some wrappers pass on a Ctrl-C that the terminal has already sent us: that is not a second request.
_SAME_WISH_SECONDS = 1.0


class StopRequested(Exception):
    """Leave the current wait: a stop was requested."""


class Interruptions:
    """The signals that request a stop, recorded while the block runs and handled only where the program pauses.

    So no step, such as writing a file or starting a process, is ever interrupted.
    """

    def __init__(self) -> None:
        self.first: signal.Signals | None = None
        self._first_at = 0.0
        self._is_hurried = False
        self._handlers_before: dict[signal.Signals, Callable[[int, FrameType | None], Any] | int | None] = {}

    def __enter__(self) -> Self:
        # A program started with `nohup` outlives the terminal.
        signals = [number for number in _SIGNALS if not _is_nohup(number)]
        self._handlers_before = {number: signal.signal(number, self._note) for number in signals}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._handlers_before.items():
            signal.signal(number, handler)

    def pause(self, seconds: float) -> None:
        """Sleep.

        Raises:
            StopRequested: a stop was requested, before or during the sleep.
        """
        deadline = time.monotonic() + seconds
        while True:
            if self.first is not None:
                raise StopRequested
            left = deadline - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, _LONGEST_SLEEP_SECONDS))

    def is_hurried(self) -> bool:
        """Return whether a stop was requested a second time, so that there is no graceful end."""
        return self._is_hurried

    def _note(self, number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.first is None:
            self.first = signal.Signals(number)
            self._first_at = now
        elif now - self._first_at > _SAME_WISH_SECONDS:
            self._is_hurried = True


def _is_nohup(number: signal.Signals) -> bool:
    return number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN
