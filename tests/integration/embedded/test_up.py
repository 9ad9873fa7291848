"""`skyhold up` for users, scripts and crashes; Skyhold's own processes are stand-ins."""

import http.client
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import psutil
import pytest

from integration.embedded.up_process import UpProcess, runs, surroundings, wait_until
from skyhold.machine.endpoints import read_live_endpoints
from skyhold_local.embedded.servers import running_servers

pytestmark = pytest.mark.rest

Ups = list[UpProcess]


def _start(ups: Ups, data_dir: Path, *arguments: str, **variables: str) -> UpProcess:
    ups.append(UpProcess(data_dir, *arguments, **variables))
    return ups[-1]


def _told(api: str) -> dict[str, Any]:
    """Return the variables that the stand-in got."""
    connection = http.client.HTTPConnection(urlsplit(api).netloc, timeout=5)
    try:
        connection.request("GET", "/readyz")
        told: dict[str, Any] = json.loads(connection.getresponse().read())["told"]
        return told
    finally:
        connection.close()


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), 1):
            return True
    except OSError:
        return False


async def _fetch(database_url: str, statement: str) -> Any:
    connection = await asyncpg.connect(database_url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


@pytest.mark.core
def test_it_tells_where_everything_is_and_stops_all_of_it(scratch: Path, ups: Ups) -> None:
    up = _start(ups, scratch / "data", "--workers", "2", TEMPORAL_TASK_QUEUE="mine", TEMPORAL_API_KEY="of another")
    endpoints = up.wait_ready()
    wait_until(lambda: "Stop" in up.out)
    for shown in (endpoints.api, f"{endpoints.api}/docs", endpoints.temporal, endpoints.temporal_ui or "?", "/logs"):
        assert shown in up.out
    file = up.file()
    assert list(file) == [
        *("api", "temporal", "temporalUi", "namespace", "taskQueue"),
        *("databaseUrl", "redisUrl", "startedAt", "pids"),
    ]
    assert list(file["pids"]) == ["supervisor", "postgres", "redis", "temporal", "api", "workers"]
    assert len(set(file["pids"]["workers"])) == 2
    assert stat.S_IMODE((scratch / "data" / "endpoints.json").stat().st_mode) == 0o600
    told = _told(endpoints.api)
    assert told.pop("SECRET_KEY")
    assert told == {
        "DATABASE_URL": endpoints.database_url,
        "REDIS_URL": endpoints.redis_url,
        "SERVER_HOST": "127.0.0.1",
        "SERVER_PORT": str(urlsplit(endpoints.api).port),
        "TEMPORAL_ADDRESS": endpoints.temporal,
        "TEMPORAL_API_KEY": None,
        "TEMPORAL_TASK_QUEUE": "mine",
    }
    assert up.stop(signal.SIGTERM) == 0
    assert up.left() == []
    assert not (scratch / "data" / "endpoints.json").exists()
    assert read_live_endpoints(scratch / "data") is None


def test_ctrl_c_stops_all_and_says_interrupted(scratch: Path, ups: Ups) -> None:
    up = _start(ups, scratch / "data")
    up.wait_ready()
    assert up.stop(signal.SIGINT) == 130
    assert up.left() == []


def test_a_stop_while_it_starts_leaves_nothing(scratch: Path, ups: Ups) -> None:
    up = _start(ups, scratch / "data")
    wait_until(lambda: "Starting" in up.err)
    wait_until(lambda: psutil.Process(up.process.pid).children())
    assert up.stop(signal.SIGTERM) == 0
    assert up.left() == []


def test_a_second_start_on_one_directory_is_refused_in_a_line_that_names_the_first(scratch: Path, ups: Ups) -> None:
    first = _start(ups, scratch / "data")
    endpoints = first.wait_ready()
    second = UpProcess(scratch / "data", "--workers", "1")
    ups.append(second)
    assert second.wait_over() == 1
    refusal = second.err.strip().splitlines()
    assert len(refusal) == 1
    assert f"pid {first.process.pid}" in refusal[0]
    assert read_live_endpoints(scratch / "data") == endpoints


@pytest.mark.parametrize(
    "flag", [pytest.param("--port", marks=pytest.mark.core), "--temporal-port", "--temporal-ui-port"]
)
def test_a_taken_port_is_an_error_that_names_it_and_the_flag(scratch: Path, ups: Ups, flag: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        port = str(somebody.getsockname()[1])
        up = _start(ups, scratch / "data", flag, port)
        assert up.wait_over() == 1
    assert f"Port {port} is taken" in up.err
    assert f"{flag} PORT" in up.err
    assert up.out == ""


async def test_killed_it_leaves_nothing_and_starts_again_with_its_data(scratch: Path, ups: Ups) -> None:
    up = _start(ups, scratch / "data")
    before = up.wait_ready()
    await _fetch(before.database_url, "CREATE TABLE kept AS SELECT 1 AS one")
    up.kill()
    assert (scratch / "data" / "endpoints.json").exists()
    assert read_live_endpoints(scratch / "data") is None
    wait_until(lambda: not up.left(), seconds=30)
    again = _start(ups, scratch / "data")
    after = again.wait_ready()
    assert await _fetch(after.database_url, "SELECT one FROM kept") == 1
    # Saved addresses stay valid, and so do cookies and tokens.
    assert (after.api, after.temporal, after.database_url) == (before.api, before.temporal, before.database_url)


def test_children_that_outlived_a_killed_one_are_stopped_by_the_next(scratch: Path, ups: Ups) -> None:
    up = _start(ups, scratch / "data", CHILDREN_OUTLIVE_US="1")
    before = up.wait_ready()
    up.kill()
    assert len(up.left()) >= 5
    ports = [str(urlsplit(before.api).port), before.temporal.rpartition(":")[2]]
    again = _start(ups, scratch / "data", "--port", ports[0], "--temporal-port", ports[1])
    assert again.wait_ready().api == before.api
    assert up.left() == []


def test_each_child_killed_returns_on_its_port_and_is_told_of(scratch: Path, ups: Ups) -> None:
    up = _start(ups, scratch / "data")
    before = up.wait_ready()
    addresses = {
        "postgres": urlsplit(before.database_url).netloc.rpartition("@")[2],
        "redis": urlsplit(before.redis_url).netloc.rpartition("@")[2],
        "temporal": before.temporal,
        "api": urlsplit(before.api).netloc,
    }
    killed = up.file()["pids"]
    for name in addresses:
        os.kill(killed[name], signal.SIGKILL)
    os.kill(killed["workers"][0], signal.SIGKILL)
    wait_until(lambda: not set(_pids(up)) & ({*_flat(killed)} - {killed["supervisor"]}))
    for address in addresses.values():
        wait_until(lambda address=address: _listens(address))  # type: ignore[misc]
    after = up.wait_ready()
    assert (after.api, after.temporal, after.temporal_ui) == (before.api, before.temporal, before.temporal_ui)
    assert (after.database_url, after.redis_url) == (before.database_url, before.redis_url)
    assert after.started_at == before.started_at
    assert all(psutil.pid_exists(pid) for pid in _pids(up))
    assert "signal 9" in up.err
    assert "signal 9" in (scratch / "data" / "logs" / "supervisor.log").read_text()


def _pids(up: UpProcess) -> list[int]:
    return _flat(up.file()["pids"])


def _flat(pids: dict[str, Any]) -> list[int]:
    return [*(pid for name, pid in pids.items() if name != "workers"), *pids["workers"]]


def test_a_server_whose_variable_is_set_is_used_instead_and_said(scratch: Path, ups: Ups) -> None:
    with running_servers(scratch / "theirs") as theirs:
        up = _start(
            ups,
            scratch / "data",
            DATABASE_URL=theirs.database_url,
            REDIS_URL=theirs.redis_url,
            TEMPORAL_ADDRESS=theirs.temporal_address,
        )
        endpoints = up.wait_ready()
        assert endpoints.database_url == theirs.database_url
        assert endpoints.redis_url == theirs.redis_url
        assert endpoints.temporal == theirs.temporal_address
        assert endpoints.temporal_ui is None
        assert (endpoints.pids.postgres, endpoints.pids.redis, endpoints.pids.temporal) == (None, None, None)
        for variable in ("DATABASE_URL", "REDIS_URL", "TEMPORAL_ADDRESS"):
            assert f"({variable} is set)" in up.err
        assert theirs.postgres.directory.secrets.database_password not in up.err
        assert up.stop() == 0
        assert all(server.is_ready() for server in (theirs.postgres, theirs.redis, theirs.temporal))


def test_ephemeral_data_are_gone_at_the_end(scratch: Path, ups: Ups) -> None:
    up = _start(ups, scratch / "data", "--ephemeral")
    up.wait_ready()
    wait_until(lambda: "Stop" in up.out)
    logs = Path(next(line.split()[1] for line in up.out.splitlines() if "Logs" in line))
    assert logs.is_dir()
    assert not logs.is_relative_to(scratch)
    assert up.stop() == 0
    assert not logs.parent.exists()
    assert not (scratch / "data" / "postgres").exists()


@pytest.mark.long
def test_two_run_side_by_side(scratch: Path, ups: Ups) -> None:
    one, other = (_start(ups, scratch / name).wait_ready() for name in ("one", "other"))
    assert {one.api, one.temporal, one.temporal_ui}.isdisjoint({other.api, other.temporal, other.temporal_ui})
    assert _told(one.api)["SECRET_KEY"] != _told(other.api)["SECRET_KEY"]


def test_a_failed_step_is_shown_and_everything_stopped(scratch: Path, ups: Ups) -> None:
    up = _start(ups, scratch / "data", STAND_IN_FAILS_AT="migrate")
    wait_until(lambda: "schema" in up.err or up.process.poll() is not None)
    assert up.wait_over() == 1
    assert "the stand-in was told to fail" in up.err
    assert read_live_endpoints(scratch / "data") is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("user", [65534, 2_345_678], ids=["nobody", "no passwd entry"])
def test_a_plain_user_can_run_it(scratch: Path, user: int) -> None:
    python = _python_that_others_can_run()
    home = scratch / "home"
    home.mkdir(mode=0o700)
    os.chown(home, user, user)
    program = shutil.copytree(Path(__file__).parent, scratch / "programs") / "up_with_stand_in.py"
    # `temporal` is beside our interpreter, which is not the one that runs here.
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
    ports = ("--port", "0", "--temporal-port", "0", "--temporal-ui-port", "0")
    with (scratch / "err").open("wb") as err:
        up = subprocess.Popen(
            [python, str(program), "--data-dir", str(home / "data"), *ports],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=err,
            cwd=home,
            env=_without_names(surroundings(HOME=str(home), PATH=path, PYTHONPATH=os.pathsep.join(_import_paths()))),
            user=user,
            group=user,
            extra_groups=[],
        )
    try:
        wait_until(lambda: read_live_endpoints(home / "data") or up.poll() is not None)
        children = psutil.Process(up.pid).children(recursive=True) if up.poll() is None else []
        assert len(children) >= 5, (scratch / "err").read_text()
        assert {child.uids().real for child in children} == {user}
    finally:
        up.terminate()
        code = up.wait(60)
    assert code == 0, (scratch / "err").read_text()
    assert not [child for child in children if runs(child)]


def _without_names(environment: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in {"USER", "LOGNAME"}}


def _import_paths() -> list[str]:
    import skyhold  # noqa: PLC0415 - only for its path

    return [sysconfig.get_path("platlib"), str(Path(skyhold.__file__).parents[1])]


def _python_that_others_can_run() -> str:
    """Return an interpreter of our version that an ordinary user can run, with all dependencies of Skyhold."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, shutil.which(version), f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        if candidate and _can_nobody_run(candidate):
            return candidate
    pytest.skip(f"no {version} of this machine, nor the packages beside it, can be reached by a plain user")


def _can_nobody_run(python: str) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        try:
            tried = subprocess.run(
                [python, "-c", "import skyhold_local.cli.up, skyhold_local.embedded.supervisor"],
                capture_output=True,
                check=False,
                cwd="/",
                env=surroundings(HOME=folder, PYTHONPATH=os.pathsep.join(_import_paths())),
                user=65534,
                group=65534,
                extra_groups=[],
            )
        except OSError:
            return False
    return tried.returncode == 0
