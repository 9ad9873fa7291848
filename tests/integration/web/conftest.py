from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial

import pytest
from redis.asyncio import Redis

from skyhold.bootstrap import api
from skyhold.queries import database
from skyhold.settings import Settings
from skyhold.web.api.deadlines import PRECHECK_SHARE
from skyhold.web.api.services import Services
from skyhold.workflows.booking_client import BookingClient
from skyhold_local.embedded.servers import Servers
from support.services import SECRET_KEY, Service, running_service


@pytest.fixture
def patience() -> timedelta:
    """The command timeout of these tests' APIs: longer than in production, since machines may be busy."""
    return timedelta(seconds=10)


@pytest.fixture(autouse=True)
def patient_apis(patience: timedelta, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "BookingClient", partial(BookingClient, timeout=patience))
    monkeypatch.setattr(api, "Services", partial(Services, command_timeout=patience))
    monkeypatch.setattr(database, "READ_TIMEOUT", patience.total_seconds() * PRECHECK_SHARE)


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    """Settings for a service of this test alone; its gateway answers at once and never fails."""
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        secret_key=SECRET_KEY,
        rate_limit=None,
        max_holds_per_guest=1000,
        temporal_task_queue=f"web-{secrets.token_hex(4)}",
        payment_simulated_latency="0s",  # type: ignore[arg-type]
        payment_failure_rate=0,
        workflow_sandbox=False,
    )


@pytest.fixture
async def service(settings: Settings, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    """The API and a worker, both as bootstrap makes them."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", servers.temporal_address)
    async with running_service(settings) as service:
        yield service


@pytest.fixture
async def redis_of_test(settings: Settings) -> AsyncIterator[Redis]:
    redis = Redis.from_url(settings.redis_url or "", decode_responses=True)
    yield redis
    await redis.aclose()
