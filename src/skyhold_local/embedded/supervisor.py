"""The life of `skyhold up`: starts everything in order, keeps it alive, publishes it in `endpoints.json`, stops it.

Owns the order and the supervision. The stack has the list of children; a child starts itself.
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
# An application that ends this often before Skyhold was ready once will not get ready by another try.
_MAX_EARLY_CRASHES = 4
_KILL: Sequence[StopStep] = (StopStep(signal.SIGKILL, 5),)


def supervise(
    options: StackOptions,
    *,
    environment: Mapping[str, str],
    say: Callable[[str], None],
    on_ready: Callable[[Endpoints, Path], None],
) -> signal.Signals:
    """Run everything until a signal requests a stop, and return that signal when all is stopped.

    `on_ready` gets the endpoints and the data directory; `say` gets a line of progress for a person.

    Raises:
        EmbeddedError: it could not be started; the started part is stopped again.
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
    """One run of a stack in a data directory that this process has locked."""

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
        """Start everything, report it, and keep it alive.

        Raises:
            StopRequested: a stop was requested; the only end except by errors.
            EmbeddedError: it could not be started.
        """
        remove_endpoints(self._directory.announced_in)
        self._stop_orphans()
        self._stack.require_ports()
        self._require_borrowed()
        self._start_servers()
        self._run_to_end("migrate", "Bringing the schema to head")
        # Started early, because they load slowly; their addresses are published only when all is ready.
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
        """Stop all that was started: first the clients of the servers, then Temporal, then the servers with data."""
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
        """Check the servers that are used by address, before anything that needs them is started."""
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
        """Run a Skyhold command to its end; it is safe to run again after it was cut off."""
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
                if kept.deaths >= _MAX_EARLY_CRASHES:
                    raise StackNotReady(kept.child.explain("keeps ending"))
            if time.monotonic() > deadline:
                raise StackNotReady(self._explain_silence())
            self._interruptions.pause(_POLL_SECONDS)
        self._stack.api.settle_ports()

    def _launch(self, child: Child) -> None:
        # Recorded first: a stop that comes in between must find it.
        self._started.append(child)
        bound_log(child.log)
        child.launch()

    def _watch(self) -> None:
        """Restart dead children, publish the new pids, and limit the size of the logs."""
        launched = [kept.child for kept in self._kept if kept.tend()]
        if launched or self._is_announcement_due:
            try:
                self._announce()
            except OSError as error:
                # A full disk is not a reason to stop; the new pids are published when there is room.
                if not self._is_announcement_due:
                    self._report(f"endpoints.json cannot be written: {error.strerror}")
                self._is_announcement_due = True
            else:
                self._is_announcement_due = False
        if time.monotonic() >= self._logs_due_at:
            self._logs_due_at = time.monotonic() + _LOGS_EVERY_SECONDS
            for kept in self._kept:
                with contextlib.suppress(OSError):  # a full disk is not a reason to stop
                    bound_log(kept.child.log)

    def _announce(self) -> None:
        if self._ready_at:
            write_endpoints(self._directory.announced_in, self._stack.endpoints(started_at=self._ready_at))

    def _stop_orphans(self) -> None:
        """Stop processes of a killed supervisor, and wait until they are gone: they may hold the wanted ports."""
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
        """Print a line, and write it into the supervisor's own log."""
        self._say(line)
        with contextlib.suppress(OSError):  # a full disk is not a reason to stop
            log = self._directory.log("supervisor")
            bound_log(log)
            with log.open("a", encoding="utf-8") as file:
                file.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {line}\n")

    def _explain_silence(self) -> str:
        said = self._stack.api.readiness()
        if not said:
            return self._stack.api.explain(f"did not answer within {_READY_SECONDS:.0f} seconds")
        return (
            f"Skyhold was not ready after {_READY_SECONDS:.0f} seconds; /readyz reports {said.get('status')}: "
            f"{said.get('checks')}. The logs are in {self._directory.path / 'logs'}."
        )


def _open_directory(options: StackOptions) -> DataDirectory:
    if not options.is_ephemeral:
        return DataDirectory.open(options.data_dir or Path(".skyhold"))
    temporary = Path(tempfile.mkdtemp(prefix="skyhold-"))
    try:
        # mkdtemp allows only the owner, but servers that run as another user must pass through.
        temporary.chmod(0o711)
        return DataDirectory.open(temporary, announced_in=options.data_dir, is_ephemeral=True)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
