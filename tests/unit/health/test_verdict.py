"""The verdict of /readyz on its probes."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest

from skyhold.health import verdict as readiness
from skyhold.health.verdict import PROBE_TIMEOUT, Probe, ProbeFailure
from support.web import ScriptedServices, app_over, client_of

NAMES = ("postgresql", "redis", "temporal", "worker", "schema", "clock")


async def _works() -> None:
    return None


async def _says() -> str:
    return "it is broken"


async def _raises() -> None:
    raise OSError("postgresql://skyhold:secret@db/skyhold")


async def _hangs() -> None:
    await asyncio.Event().wait()


async def _ready(**probes: Probe) -> tuple[int, dict[str, object]]:
    async with client_of(app_over(ScriptedServices(), dict.fromkeys(NAMES, _works) | probes)) as client:
        reply = await client.get("/readyz")
        return reply.status_code, reply.json()


async def test_all_that_works_is_ready() -> None:
    assert await _ready() == (200, {"status": "ready", "checks": dict.fromkeys(NAMES, "ok")})


@pytest.mark.parametrize("name", ["redis", "temporal", "worker"])
async def test_what_can_be_done_without_degrades(name: str) -> None:
    code, body = await _ready(**{name: _says})
    assert (code, body["status"]) == (200, "degraded")
    assert body["checks"] == dict.fromkeys(NAMES, "ok") | {name: "unavailable: it is broken"}


async def test_a_clock_that_is_off_degrades_and_is_told_in_its_own_words() -> None:
    code, body = await _ready(clock=_says)
    assert (code, body["status"]) == (200, "degraded")
    assert body["checks"] == dict.fromkeys(NAMES, "ok") | {"clock": "it is broken"}


async def test_a_clock_that_nobody_tells_is_unavailable_as_any_other_check() -> None:
    _, body = await _ready(clock=_raises)
    assert body["checks"] == dict.fromkeys(NAMES, "ok") | {"clock": "unavailable: no answer"}


@pytest.mark.parametrize("name", ["postgresql", "schema"])
async def test_what_nothing_works_without_is_unavailable(name: str) -> None:
    code, body = await _ready(**{name: _says})
    assert (code, body["status"]) == (503, "unavailable")


async def test_however_many_ask_the_servers_are_asked_one_time_after_the_other() -> None:
    under_way, most, asked = 0, 0, 0

    async def count() -> None:
        nonlocal under_way, most, asked
        under_way, asked = under_way + 1, asked + 1
        most = max(most, under_way)
        await asyncio.sleep(0.1)
        under_way -= 1

    async with client_of(app_over(ScriptedServices(), {"temporal": count})) as client:
        replies = await asyncio.gather(*(client.get("/readyz") for _ in range(100)))
    assert {reply.json()["status"] for reply in replies} == {"ready"}
    assert (most, asked) == (1, 1)


async def test_the_servers_are_asked_once_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "MAX_AGE_SECONDS", 0.3)
    asked: list[float] = []

    async def count() -> None:
        asked.append(time.monotonic())

    async with client_of(app_over(ScriptedServices(), {"temporal": count})) as client, asyncio.timeout(20):
        while len(asked) < 3:  # A result is not cached longer than that.
            await client.get("/readyz")
    assert all(later - earlier >= 0.29 for earlier, later in itertools.pairwise(asked))


async def test_what_works_in_part_degrades_even_if_nothing_works_without_it() -> None:
    async def reads() -> ProbeFailure:
        return ProbeFailure("it only reads", "a word for the operator", is_partial=True)

    code, body = await _ready(postgresql=reads)
    assert (code, body["status"]) == (200, "degraded")
    assert body["checks"] == dict.fromkeys(NAMES, "ok") | {"postgresql": "degraded: it only reads"}


async def test_what_a_driver_says_may_hold_a_password_and_is_not_repeated() -> None:
    _, body = await _ready(postgresql=_raises)
    assert "secret" not in str(body)
    assert body["status"] == "unavailable"


async def test_servers_that_are_silent_are_waited_for_together_and_not_for_long() -> None:
    started_at = time.monotonic()
    _, body = await _ready(redis=_hangs, temporal=_hangs, worker=_hangs)
    assert time.monotonic() - started_at < 2.8 * PROBE_TIMEOUT, "one after the other they take three times as long"
    assert body["status"] == "degraded"


async def test_health_is_readiness_and_liveness_asks_nobody() -> None:
    async with client_of(app_over(ScriptedServices(), {"postgresql": _says})) as client:
        assert (await client.get("/health")).json() == (await client.get("/readyz")).json()
        assert (await client.get("/livez")).json() == {"status": "alive"}
