"""`skyhold audit` during outages: the other invariants are reported, unchecked ones are named, and all waits end."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from pathlib import Path

import pytest

from skyhold.audit.findings import Invariant
from skyhold.bootstrap import audit as bootstrap
from skyhold.bootstrap import temporal
from skyhold.settings import Settings
from support.commands import Skyhold

pytestmark = pytest.mark.rest

NOBODY = "127.0.0.1:1"


async def test_without_redis_and_temporal_the_audit_tells_the_rest_and_ends_with_3(
    database_url: str, tmp_path: Path
) -> None:
    servers = {"DATABASE_URL": database_url, "REDIS_URL": f"redis://{NOBODY}", "TEMPORAL_ADDRESS": NOBODY}
    own = {"PATH": os.environ["PATH"], "TEMPORAL_CONFIG_FILE": os.devnull, "HOME": str(tmp_path)}
    skyhold = Skyhold(own | servers, tmp_path)

    done = await asyncio.to_thread(skyhold.run, "audit", "--json")

    told = json.loads(done.stdout)
    assert done.returncode == 3
    assert done.stderr == "Not checked: I5, I6.\n"
    assert told["unchecked"] == {
        "I5": "Redis does not answer",
        "I6": f"Temporal at {NOBODY} cannot be reached: nothing listens there; start it, or correct TEMPORAL_ADDRESS",
    }
    assert list(told["checked"]) == ["I1", "I2", "I3", "I4", "I7"]
    assert (told["findings"], told["foreignOrders"]) == ([], None)


async def test_a_temporal_that_takes_connections_and_says_nothing_is_not_waited_for(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(temporal, "ANSWER_SECONDS", 0.3)
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", os.devnull)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("TEMPORAL_ADDRESS", f"127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        report = await bootstrap.audit(Settings(database_url=database_url, redis_url=redis_url))

    assert time.monotonic() - began < 5
    assert list(report.unchecked) == ["I6"]
    assert "it takes connections and does not answer" in report.unchecked[Invariant.I6]
