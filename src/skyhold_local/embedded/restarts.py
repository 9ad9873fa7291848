"""The restart of dead children, with a growing delay. Reads the given clock; starts through the child alone."""

import time
from collections.abc import Callable

from skyhold_local.embedded.child import Child
from skyhold_local.embedded.errors import EmbeddedError

_FIRST_WAIT_SECONDS = 0.2
_LONGEST_WAIT_SECONDS = 30.0
# After a run of this length, the next death counts as the first one again.
_RAN_WELL_SECONDS = 60.0


def restart_wait_seconds(deaths: int) -> float:
    """Return the delay after this many deaths in a row (1 or more), doubling up to a limit."""
    return min(_FIRST_WAIT_SECONDS * 2.0 ** (min(deaths, 20) - 1), _LONGEST_WAIT_SECONDS)


class KeptAlive:
    """A launched child that is launched again, on its old port, whenever it dies."""

    def __init__(
        self, child: Child, *, report: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.child = child
        self.deaths = 0
        self._report = report
        self._clock = clock
        self._launched_at = clock()
        self._due_at: float | None = None

    def tend(self) -> bool:
        """Detect a death or do a due restart, without waiting; return True if a new process was launched."""
        now = self._clock()
        if self._due_at is not None:
            return now >= self._due_at and self._launch()
        if self.child.is_running():
            if now - self._launched_at >= _RAN_WELL_SECONDS:
                self.deaths = 0
            return False
        self._schedule(f"(pid {self.child.pid}) ended with {_describe(self.child.exit_code)}")
        return False

    def _schedule(self, why: str) -> None:
        self.deaths = 1 if self._clock() - self._launched_at >= _RAN_WELL_SECONDS else self.deaths + 1
        wait = restart_wait_seconds(self.deaths)
        self._due_at = self._clock() + wait
        self._report(f"{self.child.name} {why}; starting it again in {wait:g} s")

    def _launch(self) -> bool:
        self._due_at = None
        self._launched_at = self._clock()
        try:
            self.child.prepare()
            self.child.launch()
        except (EmbeddedError, OSError) as error:
            self._schedule(f"could not be started: {error}")
            return False
        self._report(f"{self.child.name} started again, pid {self.child.pid}")
        return True


def _describe(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"signal {-exit_code}"
    return f"exit code {exit_code}"
