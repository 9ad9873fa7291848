"""`skyhold up` with nothing replaced: the real API and worker on the real servers."""

import os
import signal
from pathlib import Path

import httpx
import pytest

from integration.embedded.up_process import RealUpProcess, UpProcess, wait_until

pytestmark = pytest.mark.rest

# docs/rules.md#numbers promises 20 and 8 seconds; a machine that runs other tests concurrently gets more.
_READY_SECONDS = 60.0


def _status(api: str) -> str | None:
    try:
        return str(httpx.get(f"{api}/readyz", timeout=5).json()["status"])
    except httpx.HTTPError:
        return None


def _flights(api: str) -> list[str]:
    flights = httpx.get(f"{api}/api/flights", timeout=5).raise_for_status().json()["flights"]
    return sorted(flight["flightNumber"] for flight in flights)


def test_it_is_ready_with_demo_flights_and_so_again_after_kill_9(scratch: Path, ups: list[UpProcess]) -> None:
    first = RealUpProcess(scratch / "data")
    ups.append(first)
    endpoints = first.wait_ready(seconds=_READY_SECONDS)
    assert _status(endpoints.api) == "ready"
    assert _flights(endpoints.api) == ["FL101", "FL102", "FL201", "FL202", "SK900"]
    assert httpx.get(f"{endpoints.api}/docs", timeout=5).status_code == 200

    for pid in (endpoints.pids.api, *endpoints.pids.workers):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: first.file()["pids"]["api"] != endpoints.pids.api)
    wait_until(lambda: _status(endpoints.api) == "ready", seconds=_READY_SECONDS)

    first.kill()
    wait_until(lambda: not first.left(), seconds=30)
    again = RealUpProcess(scratch / "data")
    ups.append(again)
    assert again.wait_ready(seconds=_READY_SECONDS).api == endpoints.api
    assert _flights(endpoints.api) == ["FL101", "FL102", "FL201", "FL202", "SK900"]
    assert again.stop() == 0
    assert again.left() == []
