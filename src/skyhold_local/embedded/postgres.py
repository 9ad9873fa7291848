"""PostgreSQL as a child: its cluster, its start on loopback with a password, its recovery after a kill.

Owns the cluster's folder, not the schema inside the database.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import psutil

from skyhold.machine.programs import find_postgres, major_version
from skyhold_local.embedded.binaries import reachable_by
from skyhold_local.embedded.child import Child
from skyhold_local.embedded.data_directory import DataDirectory
from skyhold_local.embedded.errors import DirectoryUnusable, ServerDidNotStart
from skyhold_local.embedded.nameless import Alias, alias_of_this_process
from skyhold_local.embedded.ports import LOOPBACK
from skyhold_local.embedded.processes import StopStep, spawn, stop_together
from skyhold_local.embedded.users import ServerUser

_ROLE = "skyhold"
_DATABASE = "skyhold"
# From this version on there is a built-in locale that does not depend on the machine's libraries.
_BUILTIN_LOCALE_SINCE = 17
_INITDB_SECONDS = 60.0
# Every worker has a pool, and `--workers` may start many.
_MAX_CONNECTIONS = 300
_PID_LINE, _STATUS_LINE = 0, 7


class PostgresServer(Child):
    """PostgreSQL on a cluster of its own; `url` opens its database `skyhold` as a superuser."""

    name = "postgres"
    stop_steps = (StopStep(signal.SIGINT, 20), StopStep(signal.SIGQUIT, 5), StopStep(signal.SIGKILL, 5))
    death_signal = signal.SIGINT
    ready_seconds = 60.0

    def __init__(self, directory: DataDirectory, *, port: int = 0) -> None:
        super().__init__(directory, port=port)
        self._cluster = directory.server_folder("postgres") / "data"
        found = find_postgres()
        self._program = reachable_by(self.user(), found, copies=directory.server_state / "bin")

    @property
    def url(self) -> str:
        """The address, with the password; without TLS, which on loopback would protect nothing."""
        credentials = f"{_ROLE}:{self.directory.secrets.database_password}"
        return f"postgresql://{credentials}@{LOOPBACK}:{self.port}/{_DATABASE}?sslmode=disable"

    def user(self) -> ServerUser | None:
        """Return the user to run as: never root, which PostgreSQL refuses."""
        return self.directory.server_user

    def environment(self) -> dict[str, str]:
        """Return the variables that the server sees: messages in English, so that logs are the same everywhere."""
        return super().environment() | {"LC_ALL": "C"}

    def prepare(self) -> None:
        """Create the cluster once; stop the remains of a killed server and remove its pid file."""
        self.stop_orphan()
        self._stop_survivors()
        if not (self._cluster / "PG_VERSION").exists():
            self._make_cluster()
        self._check_version()
        # No process uses the cluster now. A stale pid file may name a zombie or an unrelated process, and then every
        # start would fail with "lock file already exists".
        (self._cluster / "postmaster.pid").unlink(missing_ok=True)

    def command(self) -> Sequence[str | Path]:
        """Return the server's command: TCP on loopback only, since the path of a Unix socket may be too long."""
        listening = ("-h", LOOPBACK, "-p", str(self.port), "-k", "")
        return [self._program, "-D", self._cluster, *listening, "-c", f"max_connections={_MAX_CONNECTIONS}"]

    def answers(self) -> bool:
        """Return whether the server's own pid file says ready."""
        try:
            # The lines contain the path of the cluster, which may be any bytes.
            lines = (self._cluster / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return False
        return (
            len(lines) > _STATUS_LINE and lines[_PID_LINE] == str(self.pid) and lines[_STATUS_LINE].strip() == "ready"
        )

    def _stop_survivors(self) -> None:
        """Stop backends that outlived a killed server; while one lives, no new server can use the cluster."""
        survivors = [process for process in psutil.process_iter() if self._works_in_cluster(process)]
        steps = (StopStep(signal.SIGQUIT, 2), StopStep(signal.SIGKILL, 5))
        stop_together([(process, steps) for process in survivors])

    def _works_in_cluster(self, process: psutil.Process) -> bool:
        try:
            return process.cwd() == str(self._cluster.resolve()) and "postgres" in process.name()
        except (psutil.Error, OSError):
            return False

    def _check_version(self) -> None:
        made_by = (self._cluster / "PG_VERSION").read_text(encoding="utf-8").strip()
        ours = major_version(self._program)
        if made_by != str(ours):
            raise DirectoryUnusable(
                f"{self._cluster} was made by PostgreSQL {made_by}, but {self._program} is {ours}. Install "
                f"PostgreSQL {made_by}, or carry the data over with its pg_dump."
            )

    def _make_cluster(self) -> None:
        """Create the cluster and its database in a temporary folder, then rename: neither step is atomic by itself."""
        if self._cluster.exists():
            raise DirectoryUnusable(f"{self._cluster} exists, but is not a PostgreSQL cluster: it has no PG_VERSION.")
        aside = self._cluster.with_name("init.tmp")
        shutil.rmtree(aside, ignore_errors=True)
        modern = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        locale = modern if major_version(self._program) >= _BUILTIN_LOCALE_SINCE else []
        self._run_aside(
            [
                *(self._program.with_name("initdb"), "-D", aside, "-U", _ROLE, "-A", "scram-sha-256"),
                *("--pwfile=/dev/stdin", "-E", "UTF8", "--locale=C", *locale, "--data-checksums", "--no-instructions"),
            ],
            typed=self.directory.secrets.database_password,
        )
        self._run_aside([self._program, "--single", "-D", aside, "postgres"], typed=f"CREATE DATABASE {_DATABASE}")
        aside.rename(self._cluster)

    def _run_aside(self, command: Sequence[str | Path], *, typed: str) -> None:
        """Run a program of PostgreSQL to its end, with one line on its standard input."""
        alias = alias_of_this_process(self.directory.folder("run")) if os.geteuid() else Alias()
        read_end, write_end = os.pipe()
        with os.fdopen(read_end, "rb") as stdin:
            with os.fdopen(write_end, "w", encoding="utf-8") as pipe:
                pipe.write(f"{typed}\n")
            if user := self.user():
                # initdb opens /dev/stdin by name, which an unprivileged user may only do if it owns the pipe.
                os.fchown(stdin.fileno(), user.uid, user.gid)
            process = spawn(
                command,
                log=self.log,
                environment=self.environment() | alias.variables,
                death_signal=signal.SIGKILL,
                user=self.user(),
                appears_as=alias.user,
                stdin=stdin,
            )
        try:
            code = process.wait(_INITDB_SECONDS)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            stop_together([(process, [StopStep(signal.SIGKILL, 5)])])
        if code != 0:
            raise ServerDidNotStart(self.explain(f"could not make its cluster ({Path(command[0]).name}: {code})"))
