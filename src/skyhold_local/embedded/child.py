"""One child process: started on its port, checked for readiness, stopped, and found again by a later start.

Owns the life of one process and the record by which a later start finds a leftover process. The supervisor decides
whether and when a dead child is restarted.
"""

import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import IO

import psutil

from skyhold.machine.environment import environment_of_servers
from skyhold.machine.identities import ProcessIdentity, identify
from skyhold.machine.private_files import read_json_object, write_private_json
from skyhold_local.embedded.data_directory import DataDirectory
from skyhold_local.embedded.errors import EmbeddedError, ServerDidNotStart
from skyhold_local.embedded.ports import free_port, is_port_free
from skyhold_local.embedded.processes import StopStep, spawn, stop_together
from skyhold_local.embedded.users import ServerUser

_POLL_SECONDS = 0.02
_LAUNCHES = 3
_LOG_TAIL_CHARACTERS = 1500

Pause = Callable[[float], None]


class Child(ABC):
    """A process with a name, and a port unless it listens on none.

    A port of 0 means the previous one, or any free one. Once it was ready on a port it keeps that permanently, since
    other processes know it.
    """

    name: str
    stop_steps: Sequence[StopStep] = (StopStep(signal.SIGTERM, 10), StopStep(signal.SIGKILL, 5))
    # The signal that the kernel sends the child when we are killed.
    death_signal: signal.Signals = signal.SIGTERM
    ready_seconds: float = 30.0

    def __init__(self, directory: DataDirectory, *, port: int = 0) -> None:
        self.directory = directory
        self.port = port
        self._is_port_settled = bool(port)
        self._process: subprocess.Popen[bytes] | None = None
        self._log_offset = 0

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """Return the command to run; the port is already chosen."""

    @abstractmethod
    def answers(self) -> bool:
        """Return, without a long wait, whether the running process does its work."""

    def prepare(self) -> None:
        """Create the files that the child needs, and stop a process that an earlier supervisor left."""
        self.stop_orphan()

    def environment(self) -> dict[str, str]:
        """Return the variables that the child sees."""
        return environment_of_servers(os.environ)

    def working_directory(self) -> Path:
        """Return the working directory; a server does not block a directory of the user."""
        return Path("/")

    def standard_input(self) -> AbstractContextManager[int | IO[bytes]]:
        """Return the child's standard input: empty."""
        return nullcontext(subprocess.DEVNULL)

    def user(self) -> ServerUser | None:
        """Return the user to run as; None is our own."""
        return None

    @property
    def log(self) -> Path:
        """The file with the child's output."""
        return self.directory.log(self.name)

    @property
    def pid(self) -> int:
        """The pid of the last process that was launched."""
        if self._process is None:
            raise EmbeddedError(f"{self.name} was never started")
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code of the last process, or minus the number of the signal that ended it; None while it runs."""
        return self._process.poll() if self._process else None

    def is_running(self) -> bool:
        """Return whether the process lives, ready or not."""
        return self._process is not None and self._process.poll() is None

    def is_ready(self) -> bool:
        """Return whether the process lives and does its work."""
        return self.is_running() and self.answers()

    def start(self, *, pause: Pause = time.sleep) -> None:
        """Start the child and return when it is ready; after `stop` or `kill` with the same data and port.

        Raises:
            ServerDidNotStart: it ended or stayed silent.
        """
        self.prepare()
        self.launch()
        self.wait_until_ready(pause=pause)

    def launch(self) -> None:
        """Start the process and return at once."""
        if not self._is_port_settled:
            self.choose_ports()
        self._log_offset = self.log.stat().st_size
        with self.standard_input() as stdin:
            self._process = spawn(
                self.command(),
                log=self.log,
                environment=self.environment(),
                death_signal=self.death_signal,
                user=self.user(),
                stdin=stdin,
                directory=self.working_directory(),
            )
        with suppress(OSError):  # on a full disk: it runs, and still dies with us
            self._remember()

    def wait_until_ready(self, *, pause: Pause = time.sleep) -> None:
        """Wait for the launched process, launching it again if it ended before it was ready.

        It may have lost its port to another process between choice and use, or have met a killed predecessor that was
        not quite gone.

        Raises:
            ServerDidNotStart: it ended too often or stayed silent.
        """
        deadline = time.monotonic() + self.ready_seconds
        launches = 1
        while not self.is_ready():
            if time.monotonic() > deadline:
                self.kill()
                raise ServerDidNotStart(self.explain(f"was not ready after {self.ready_seconds:.0f} seconds"))
            if not self.is_running():
                if launches == _LAUNCHES:
                    raise ServerDidNotStart(self.explain(f"ended {launches} times, with {self.exit_code}"))
                pause(0.1 * launches)
                self.launch()
                launches += 1
            pause(_POLL_SECONDS)
        self.settle_ports()

    def settle_ports(self) -> None:
        """Keep the ports from now on, because the child was ready on them."""
        self._is_port_settled = True

    def stop(self) -> None:
        """Stop the process, gracefully first, and return when it is gone."""
        if self._process is not None:
            stop_together([(self._process, self.stop_steps)])

    def kill(self) -> None:
        """End the process as a crash would (kill -9), and return when it is gone."""
        if self._process is not None:
            stop_together([(self._process, [StopStep(signal.SIGKILL, 10)])])

    def stopping(self) -> list[tuple[subprocess.Popen[bytes], Sequence[StopStep]]]:
        """Return the arguments of `stop_together` for this child."""
        return [(self._process, self.stop_steps)] if self._process is not None else []

    def stop_orphan(self) -> None:
        """Stop a process that an earlier supervisor started and left; we hold the lock, so no other owns it."""
        orphan = find_orphan(self.directory.record(self.name))
        if orphan and not (self._process and self._process.pid == orphan.pid):
            stop_together([(orphan, self.stop_steps)])

    def ports(self) -> dict[str, int]:
        """Return the ports to record, by name."""
        return {"port": self.port}

    def choose_ports(self) -> None:
        """Choose ports for a process whose address is not published yet."""
        self.port = self.remembered_or_free("port")

    def remembered_or_free(self, name: str) -> int:
        """Return the previous port, so that saved addresses stay valid, or another one if that is taken."""
        known = read_json_object(self.directory.record(self.name)) or {}
        port = known.get(name)
        return port if isinstance(port, int) and port and is_port_free(port) else free_port()

    def _remember(self) -> None:
        identity = identify(self.pid)
        record = {"pid": self.pid, "start_mark": identity.start_mark if identity else "", **self.ports()}
        write_private_json(self.directory.record(self.name), record)

    def explain(self, what: str) -> str:
        """Return a sentence about the child, with the end of its last process's output."""
        return f"{self.name} {what}. The end of {self.log}:\n{self._said()[-_LOG_TAIL_CHARACTERS:]}"

    def last_line(self) -> str:
        """Return the last line of the last process's output, which names the cause if a command failed."""
        return (self._said().splitlines() or [f"{self.name} ended with {self.exit_code}"])[-1]

    def _said(self) -> str:
        """Return the output of the last process."""
        text = self.log.read_bytes()
        since_launch = text[self._log_offset :] if self._log_offset <= len(text) else text
        return since_launch.decode(errors="replace").strip()


def find_orphan(record: Path) -> psutil.Process | None:
    """Return the process that a child's record names, if it is still the same one."""
    known = read_json_object(record) or {}
    identity = ProcessIdentity(known.get("pid", 0), known.get("start_mark", ""))
    if not identity.is_alive():
        return None
    try:
        return psutil.Process(identity.pid)
    except psutil.NoSuchProcess:
        return None
