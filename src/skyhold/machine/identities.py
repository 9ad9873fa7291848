"""Identity of a process: its pid, and a mark that differs for a later process with the same pid.

Needs only packages that are installed in production, where other commands check whether a `skyhold up` is alive.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

_STATE, _START_TIME = 0, 19  # fields 3 and 22 of /proc/<pid>/stat, counted after the name


@dataclass(frozen=True)
class ProcessIdentity:
    """The identity of one process; a later process with the same pid has another one."""

    pid: int
    start_mark: str

    def is_alive(self) -> bool:
        """Return whether exactly this process still runs; a zombie does not."""
        return identify(self.pid) == self


def identify(pid: int) -> ProcessIdentity | None:
    """Return the identity of the process that runs under the pid now, or None if there is none.

    On Linux the mark is counted in ticks since boot: a wall-clock time would change whenever the clock is set.
    """
    if not sys.platform.startswith("linux"):
        return _identify_elsewhere(pid)
    try:
        facts = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if facts[_STATE] in {"Z", "X"} else ProcessIdentity(pid, facts[_START_TIME])


def _identify_elsewhere(pid: int) -> ProcessIdentity | None:
    try:
        import psutil  # noqa: PLC0415 - of the extra `embedded`; without it nothing was started by `skyhold up`
    except ModuleNotFoundError:
        return None
    try:
        process = psutil.Process(pid)
        is_zombie = process.status() == psutil.STATUS_ZOMBIE
        return None if is_zombie else ProcessIdentity(pid, f"{process.create_time():.2f}")
    except psutil.Error:
        return None
