"""Restart delays, log size limits and stop requests, without any server."""

import os
import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from skyhold.machine.endpoints import Endpoints, Pids, read_live_endpoints, write_endpoints
from skyhold_local.embedded.child import Child
from skyhold_local.embedded.data_directory import DataDirectory
from skyhold_local.embedded.errors import EmbeddedError
from skyhold_local.embedded.interruptions import Interruptions, StopRequested
from skyhold_local.embedded.logs import bound_log
from skyhold_local.embedded.restarts import KeptAlive, restart_wait_seconds


class _Mortal:
    """A child as the supervisor sees it."""

    def __init__(self) -> None:
        self.name = "mortal"
        self.pid = 1
        self.exit_code: int | None = None
        self.can_start = True
        self.launches = 0

    def is_running(self) -> bool:
        return self.exit_code is None

    def prepare(self) -> None:
        if not self.can_start:
            raise EmbeddedError("not today")

    def launch(self) -> None:
        self.launches += 1
        self.exit_code = None


class _Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _watched(said: list[str]) -> tuple[_Mortal, _Clock, KeptAlive]:
    mortal, clock = _Mortal(), _Clock()
    return mortal, clock, KeptAlive(cast("Child", mortal), report=said.append, clock=clock)


def test_waits_double_up_to_half_a_minute() -> None:
    waits = [restart_wait_seconds(deaths) for deaths in range(1, 12)]
    assert waits[:4] == [0.2, 0.4, 0.8, 1.6]
    assert waits == sorted(waits)
    assert waits[-1] == restart_wait_seconds(10_000) == 30.0


def test_a_dead_child_is_started_when_its_wait_is_over_and_not_before() -> None:
    said: list[str] = []
    mortal, clock, kept = _watched(said)
    assert not kept.tend()
    mortal.exit_code = -9
    assert not kept.tend()
    assert "ended with signal 9" in said[-1]
    clock.now += 0.19
    assert not kept.tend()
    clock.now += 0.02
    assert kept.tend()
    assert mortal.launches == 1


def test_each_death_in_a_row_waits_longer_until_the_child_ran_well() -> None:
    said: list[str] = []
    mortal, clock, kept = _watched(said)
    for expected in ("0.2 s", "0.4 s", "0.8 s"):
        mortal.exit_code = 1
        kept.tend()
        assert said[-1].endswith(f"in {expected}")
        clock.now += 1
        assert kept.tend()
    clock.now += 61
    mortal.exit_code = 1
    kept.tend()
    assert said[-1].endswith("in 0.2 s")


def test_a_child_that_cannot_be_started_is_tried_again_later() -> None:
    said: list[str] = []
    mortal, clock, kept = _watched(said)
    mortal.exit_code, mortal.can_start = 1, False
    kept.tend()
    clock.now += 1
    assert not kept.tend()
    assert "not today" in said[-1]
    mortal.can_start = True
    clock.now += 1
    assert kept.tend()


def test_a_log_is_bounded_while_its_writer_has_it_open(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    with log.open("ab", buffering=0) as writer:
        for line in range(100):
            writer.write(b"x" * 99 + b"\n")
            bound_log(log, max_bytes=1000)
            assert log.stat().st_size <= 1100, line
        writer.write(b"the last line\n")
    assert log.read_bytes().endswith(b"the last line\n")
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["api.log", "api.log.1"]
    assert (tmp_path / "api.log.1").stat().st_size <= 1100


def _endpoints() -> Endpoints:
    pids = Pids(supervisor=os.getpid(), postgres=None, redis=2, temporal=3, api=4, workers=(5, 6))
    return Endpoints(
        api="http://127.0.0.1:1",
        temporal="127.0.0.1:2",
        temporal_ui=None,
        namespace="default",
        task_queue="booking-queue",
        database_url="postgresql://u:hidden@h/d",
        redis_url="redis://:hidden@h/0",
        started_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        pids=pids,
    )


def test_endpoints_are_read_as_they_were_written(scratch: Path) -> None:
    directory = DataDirectory.open(scratch / "data")
    write_endpoints(directory.path, _endpoints())
    assert read_live_endpoints(directory.path) == _endpoints()
    directory.close()


@pytest.mark.parametrize("damage", ["", "{}", "[]", '{"pids": {}}', "{"])
def test_damaged_endpoints_are_not_believed(scratch: Path, damage: str) -> None:
    directory = DataDirectory.open(scratch / "data")
    (directory.path / "endpoints.json").write_text(damage)
    assert read_live_endpoints(directory.path) is None
    directory.close()


def test_endpoints_of_another_process_with_the_supervisors_pid_are_not_believed(scratch: Path) -> None:
    directory = DataDirectory.open(scratch / "data")
    write_endpoints(directory.path, _endpoints())
    directory.close()
    lock = directory.path / "supervisor.lock"
    lock.write_text(f'{{"pid": {os.getpid()}, "start_mark": "1"}}')
    assert read_live_endpoints(directory.path) is None


def test_a_directory_without_endpoints_has_none(scratch: Path) -> None:
    assert read_live_endpoints(scratch) is None
    assert read_live_endpoints(scratch / "nowhere") is None


def test_passwords_are_left_out_of_what_is_printed_of_endpoints() -> None:
    assert "hidden" not in repr(_endpoints())


def test_a_signal_is_obeyed_where_the_program_pauses_and_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interruptions() as interruptions:
        interruptions.pause(0)
        signal.raise_signal(signal.SIGTERM)
        started = time.monotonic()
        with pytest.raises(StopRequested):
            interruptions.pause(30)
        assert time.monotonic() - started < 20
        assert interruptions.first is signal.SIGTERM
        # Passed on twice by a wrapper: the same request, not a second one.
        signal.raise_signal(signal.SIGTERM)
        assert not interruptions.is_hurried()
    assert signal.getsignal(signal.SIGTERM) is before
