"""The life of `skyhold up`: everything started in its order, kept alive, told of in `endpoints.json`, and stopped.

Owns the order and the watch. What there is to start is the stack's; how one child is started is the child's.
Runs in the main thread alone: children die with the thread that started them.
"""

import contextlib
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil

from skyhold.machine.endpoints import Endpoints, remove_endpoints, write_endpoints
from skyhold_local.embedded.child import Child, find_orphan
from skyhold_local.embedded.data_directory import DataDirectory
from skyhold_local.embedded.errors import StackNotReady
from skyhold_local.embedded.interruptions import Interruptions, StopRequested
from skyhold_local.embedded.logs import bound_log
from skyhold_local.embedded.open_files import require_open_files
from skyhold_local.embedded.processes import StopStep, stop_together
from skyhold_local.embedded.restarts import KeptAlive
from skyhold_local.embedded.stack import Stack, StackOptions

_POLL_SECONDS = 0.05
_WATCH_SECONDS = 0.1
_LOGS_EVERY_SECONDS = 5.0
_READY_SECONDS = 60.0
# An application that ends this often before all was ready once will not get ready by trying again.
_HOPELESS_DEATHS = 4
_KILL: Sequence[StopStep] = (StopStep(signal.SIGKILL, 5),)


def supervise(
    options: StackOptions,
    *,
    environment: Mapping[str, str],
    say: Callable[[str], None],
    on_ready: Callable[[Endpoints, Path], None],
) -> signal.Signals:
    """Run everything until a signal asks to stop, and return that signal when all is stopped.

    `on_ready` gets the endpoints and the data directory; `say` gets a line for each thing worth a person's eye.

    Raises:
        EmbeddedError: it could not be started; whatever was, is stopped again.
    """
    require_open_files()
    with Interruptions() as interruptions:
        directory = _open_directory(options)
        try:
            supervisor = Supervisor(directory, options, environment, interruptions=interruptions, say=say)
            try:
                supervisor.run(on_ready)
            except StopRequested:
                say("Stopping")
            finally:
                supervisor.stop()
        finally:
            directory.close()
        return interruptions.first or signal.SIGTERM


class Supervisor:
    """One run of a stack in a data directory that is ours."""

    def __init__(
        self,
        directory: DataDirectory,
        options: StackOptions,
        environment: Mapping[str, str],
        *,
        interruptions: Interruptions,
        say: Callable[[str], None],
    ) -> None:
        self._directory = directory
        self._stack = Stack(directory, options, environment)
        self._interruptions = interruptions
        self._say = say
        self._kept: list[KeptAlive] = []
        self._started: list[Child] = []
        self._ready_at: datetime | None = None
        self._logs_due_at = 0.0
        self._is_announcement_due = False

    def run(self, on_ready: Callable[[Endpoints, Path], None]) -> None:
        """Start everything, say so, and keep it alive.

        Raises:
            StopRequested: someone asked to stop; the only way out, save by errors.
            EmbeddedError: it could not be started.
        """
        remove_endpoints(self._directory.announced_in)
        self._stop_orphans()
        self._stack.require_ports()
        self._require_borrowed()
        self._start_servers()
        self._run_to_end("migrate", "Bringing the schema to head")
        # They take their time to load, and nobody is told of them before all is ready.
        self._launch_applications()
        self._run_to_end("seed", "Seeding the demo flights")
        self._wait_until_ready()
        self._ready_at = datetime.now(UTC)
        self._announce()
        self._say("Ready")
        on_ready(self._stack.endpoints(started_at=self._ready_at), self._directory.path)
        while True:
            self._watch()
            self._interruptions.pause(_WATCH_SECONDS)

    def stop(self) -> None:
        """Stop all that was started: what uses the servers first, then Temporal, then where the data are."""
        remove_endpoints(self._directory.announced_in)
        stack = self._stack
        groups: list[list[Child]] = [
            [child for child in self._started if child not in stack.servers],
            [stack.temporal] if stack.temporal else [],
            [server for server in (stack.redis, stack.postgres) if server],
        ]
        for group in groups:
            stops = [stop for child in group for stop in child.stopping()]
            stop_together(stops, is_hurried=self._interruptions.is_hurried)

    def _require_borrowed(self) -> None:
        """Ask the servers that are used by address, before anything is started that would miss them."""
        borrowed = self._stack.borrowed
        for variable, address in borrowed.items():
            self._report(f"Using the server at {address} ({variable} is set)")
        if borrowed:
            task = self._stack.application("reach", "reach", *borrowed)
            if code := self._end_of(task):
                raise StackNotReady(task.last_line().removeprefix("Error: "), exit_code=max(code, 1))

    def _start_servers(self) -> None:
        if self._stack.servers:
            self._say(f"Starting {', '.join(server.name for server in self._stack.servers)}")
        for server in self._stack.servers:
            server.prepare()
            self._launch(server)
        for server in self._stack.servers:
            server.wait_until_ready(pause=self._interruptions.pause)
            self._kept.append(KeptAlive(server, report=self._report))

    def _run_to_end(self, command: str, purpose: str) -> None:
        """Run a command of Skyhold's that ends by itself; it may be run again whenever it was cut off."""
        self._say(purpose)
        task = self._stack.application(command, command)
        if code := self._end_of(task):
            raise StackNotReady(task.explain(f"ended with {code}"), exit_code=max(code, 1))

    def _end_of(self, task: Child) -> int:
        """Run a child to its end and return its exit code."""
        task.prepare()
        self._launch(task)
        while task.is_running():
            self._interruptions.pause(_POLL_SECONDS / 2)
        return task.exit_code or 0

    def _launch_applications(self) -> None:
        self._say(f"Starting the API and {len(self._stack.workers)} worker(s)")
        for application in self._stack.applications:
            application.prepare()
            self._launch(application)
            self._kept.append(KeptAlive(application, report=self._report))

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not self._stack.api.is_ready():
            for kept in self._kept:
                kept.tend()
                if kept.deaths >= _HOPELESS_DEATHS:
                    raise StackNotReady(kept.child.explain("keeps ending"))
            if time.monotonic() > deadline:
                raise StackNotReady(self._explain_silence())
            self._interruptions.pause(_POLL_SECONDS)
        self._stack.api.settle_ports()

    def _launch(self, child: Child) -> None:
        # Noted first: a stop that comes in between must find it.
        self._started.append(child)
        bound_log(child.log)
        child.launch()

    def _watch(self) -> None:
        """Start again what died, tell the new pids, and keep the logs from growing without end."""
        launched = [kept.child for kept in self._kept if kept.tend()]
        if launched or self._is_announcement_due:
            try:
                self._announce()
            except OSError as error:
                # A full disk is no reason to stop what runs; readers are told of the new pids when there is room.
                if not self._is_announcement_due:
                    self._report(f"endpoints.json cannot be written: {error.strerror}")
                self._is_announcement_due = True
            else:
                self._is_announcement_due = False
        if time.monotonic() >= self._logs_due_at:
            self._logs_due_at = time.monotonic() + _LOGS_EVERY_SECONDS
            for kept in self._kept:
                with contextlib.suppress(OSError):  # a full disk is no reason to stop what runs
                    bound_log(kept.child.log)

    def _announce(self) -> None:
        if self._ready_at:
            write_endpoints(self._directory.announced_in, self._stack.endpoints(started_at=self._ready_at))

    def _stop_orphans(self) -> None:
        """Stop what a killed supervisor left, and wait for it: it may hold the very ports that are wanted now."""
        stack = self._stack
        steps = {server.name: server.stop_steps for server in stack.servers}
        records = self._directory.records()
        orphans = [(record.stem, find_orphan(record)) for record in records]
        left: list[tuple[psutil.Process, Sequence[StopStep]]] = [
            (orphan, steps.get(name, _KILL)) for name, orphan in orphans if orphan
        ]
        if left:
            self._report(f"Stopping {len(left)} process(es) that an earlier run left behind")
        stop_together(left)

    def _report(self, line: str) -> None:
        """Say a line, and keep it in the supervisor's own log for those who come later."""
        self._say(line)
        with contextlib.suppress(OSError):  # a full disk is no reason to stop what runs
            log = self._directory.log("supervisor")
            bound_log(log)
            with log.open("a", encoding="utf-8") as file:
                file.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {line}\n")

    def _explain_silence(self) -> str:
        said = self._stack.api.readiness()
        if not said:
            return self._stack.api.explain(f"did not answer within {_READY_SECONDS:.0f} seconds")
        return (
            f"Skyhold was not ready after {_READY_SECONDS:.0f} seconds; it says {said.get('status')}: "
            f"{said.get('checks')}. The logs are in {self._directory.path / 'logs'}."
        )


def _open_directory(options: StackOptions) -> DataDirectory:
    if not options.is_ephemeral:
        return DataDirectory.open(options.data_dir or Path(".skyhold"))
    temporary = Path(tempfile.mkdtemp(prefix="skyhold-"))
    try:
        # Made for its owner alone; servers that run as another user must pass through.
        temporary.chmod(0o711)
        return DataDirectory.open(temporary, announced_in=options.data_dir, is_ephemeral=True)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
