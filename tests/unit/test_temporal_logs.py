"""The SDK's logs of a failed step: one line while a server is unavailable, the traceback of a fault."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import pytest
from temporalio import activity

from skyhold.bootstrap.temporal import OutagesInOneLine
from skyhold.postgresql.errors import PostgresReadOnly


@pytest.fixture(autouse=True)
def filtered() -> Iterator[None]:
    logger, outages = logging.getLogger("temporalio.activity"), OutagesInOneLine()
    logger.addFilter(outages)
    yield
    logger.removeFilter(outages)


def _logged(error: BaseException, caplog: pytest.LogCaptureFixture) -> str:
    try:
        _fail(error)
    except BaseException:  # noqa: BLE001 - as the SDK does
        activity.logger.warning("Completing activity as failed", exc_info=True)
    return caplog.text


def _fail(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError(),
        ConnectionRefusedError("10.0.0.1"),
        asyncio.CancelledError(),
    ],
)
def test_a_step_that_failed_by_an_outage_is_one_line(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    logged = _logged(error, caplog)
    assert logged.endswith(f"Completing activity as failed: {type(error).__name__}\n")
    assert logged.count("\n") == 1


def test_why_postgresql_is_unavailable_is_in_that_line(caplog: pytest.LogCaptureFixture) -> None:
    logged = _logged(PostgresReadOnly("cannot execute INSERT in a read-only transaction"), caplog)
    said = "PostgresReadOnly (cannot execute INSERT in a read-only transaction)"
    assert logged.endswith(f"Completing activity as failed: {said}\n")
    assert logged.count("\n") == 1


def test_a_fault_keeps_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    logged = _logged(KeyError("seats"), caplog)
    assert "Traceback" in logged
    assert "_fail" in logged
