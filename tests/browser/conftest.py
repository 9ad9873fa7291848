"""One Chromium a run, and a few stacks that start when a test first uses them."""

from __future__ import annotations

import os
import zlib
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, expect

from support.browsers import (
    LONGEST_WAIT_SECONDS,
    NAMED_BY,
    PROGRAMS,
    REQUIRED_BY,
    Visitors,
    find_chromium,
    running_chromium,
)
from support.pages import FL102, FL201, FL202, Row
from support.services import Service
from support.stacks import Stack, new_stack

STACKS = ("stack", "brief_stack", "failing_stack")

_HAS_FAILED = pytest.StashKey[bool]()

expect.set_options(timeout=LONGEST_WAIT_SECONDS * 1000)


def pytest_runtest_setup() -> None:
    """Skip these tests without a browser, before anything is started for them."""
    if find_chromium() is None:
        missing = f"no Chromium: none of {', '.join(PROGRAMS)} is installed, and {NAMED_BY} names none"
        if os.environ.get(REQUIRED_BY):
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Record whether a test has failed, for its teardown."""
    report = yield
    item.stash[_HAS_FAILED] = item.stash.get(_HAS_FAILED, False) or report.failed
    return report


@pytest.fixture(scope="package")
async def browser() -> AsyncIterator[Browser]:
    program = find_chromium()
    assert program is not None
    async with running_chromium(program) as browser:
        yield browser


@pytest.fixture
async def open_page(browser: Browser, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Visitors]:
    """Yield `await open_page(address)`: a new visitor at that page. Faults of pages fail the test at its end."""
    visitors = Visitors(browser)
    stacks = _stacks_of(request)
    yield visitors
    if request.node.stash.get(_HAS_FAILED, False) or visitors.unexpected:
        request.node.add_report_section("teardown", "pages", await visitors.describe(tmp_path))
    for stack in stacks:
        await visitors.give_back(stack.endpoints.api)
    await visitors.leave()
    assert not visitors.unexpected, "the pages did:\n" + "\n".join(visitors.unexpected)


def _stacks_of(request: pytest.FixtureRequest) -> list[Stack]:
    return [request.getfixturevalue(name) for name in STACKS if name in request.fixturenames]


@pytest.fixture
async def new_customer() -> AsyncIterator[Callable[[Stack], Service]]:
    """Yield `new_customer(stack)`: another customer, who books without a browser."""
    clients: list[httpx.AsyncClient] = []

    def come(stack: Stack) -> Service:
        clients.append(httpx.AsyncClient(base_url=stack.endpoints.api, timeout=20))
        return Service(clients[-1])

    yield come
    for client in clients:
        for order in (await client.get("/api/orders")).json()["orders"]:
            if order["status"] == "SEATS_RESERVED":
                await client.delete(f"/api/orders/{order['orderId']}")
        await client.aclose()


@pytest.fixture(scope="package")
def _rows() -> Sequence[Row]:
    """Return the rows for tests, of flights with equal cabins; tests name those of FL101 themselves."""
    return [Row(flight_id, number) for flight_id in (FL102, FL201, FL202) for number in range(1, 16)]


@pytest.fixture
def row(_rows: Sequence[Row], request: pytest.FixtureRequest) -> Row:
    """A free row for this test alone, on its stack.

    The search starts at a place derived from the test, so that the row is mostly the same in any order of tests.
    """
    [stack] = _stacks_of(request)
    taken: dict[str, set[int]] = {}
    start = zlib.crc32(request.node.name.encode()) % len(_rows)
    for row in [*_rows[start:], *_rows[:start]]:
        if row.flight_id not in taken:
            flight = httpx.get(f"{stack.endpoints.api}/api/flights/{row.flight_id}", timeout=20).json()
            seats = flight["seatMap"]["seats"]
            taken[row.flight_id] = {seat["row"] for seat in seats if seat["status"] != "available"}
        if row.number not in taken[row.flight_id]:
            return row
    pytest.fail("no row is free any more")


@pytest.fixture(scope="package")
def stack() -> Iterator[Stack]:
    """A stack with default settings, except for a gateway that answers at once and never fails."""
    with new_stack() as stack:
        stack.start(PAYMENT_FAILURE_RATE="0", PAYMENT_SIMULATED_LATENCY="0s")
        yield stack


@pytest.fixture(scope="package")
def brief_stack() -> Iterator[Stack]:
    """A stack whose holds last eight seconds: long enough to see the clock run, short enough to wait for its end."""
    with new_stack() as stack:
        stack.start(SEAT_RESERVATION_TIMEOUT="8s", PAYMENT_FAILURE_RATE="0", PAYMENT_SIMULATED_LATENCY="0s")
        yield stack


@pytest.fixture(scope="package")
def failing_stack() -> Iterator[Stack]:
    """A stack whose gateway always fails, slowly enough to see each attempt even on a busy machine."""
    with new_stack() as stack:
        stack.start(PAYMENT_FAILURE_RATE="1", PAYMENT_SIMULATED_LATENCY="2s")
        yield stack
