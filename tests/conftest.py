"""Real servers, started once a run; a database for each test that needs one; exclusive runs of quiet tests."""

from __future__ import annotations

import fcntl
import gc
import itertools
import logging
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import structlog
from redis.asyncio import Redis
from temporalio.client import Client

from skyhold.postgresql.pools import Pool, open_pool
from skyhold.stores.demo_flights import seed_demo_flights
from skyhold.stores.schema import migrate
from skyhold.workflows.payloads import DATA_CONVERTER
from skyhold_local.embedded.servers import Servers, running_servers
from support.leftovers import Surroundings
from support.order import SEED_LIMIT, TARGETS, OneBrowserScheduling, shuffled, target_of
from support.web import INSTANCE

LATE_TEARDOWN_SECONDS = 60.0
"""Limit of each fixture in the teardown of a test that ran out of its time."""

_numbers = itertools.count(1)
_RUNNING = Path(__file__)
_DOOR = Path(__file__).with_name("support")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", action="store_true", help="save the histories of bookings anew")
    parser.addoption(
        "--order-seed", type=int, metavar="SEED", help="run the tests in the order of this seed, printed at each start"
    )
    parser.addoption(
        "--target", action="append", choices=TARGETS, help="run the tests of this target alone; may be given again"
    )
    parser.addoption(
        "--one-browser",
        action="store_true",
        help="run all tests of the pages in one process: Chromium and the stacks behind it start once",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Draw the order of this run, the same in each of its processes, and let SIGINT reach processes that tests start.

    A shell starts background processes with SIGINT ignored, and their children would inherit that.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # The log of a failed test is shown. The variables of every frame would take a second for each exception.
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], plain])
    if hasattr(config, "workerinput"):
        config.option.order_seed = config.workerinput["order_seed"]
    elif config.option.order_seed is None:
        config.option.order_seed = random.SystemRandom().randrange(SEED_LIMIT)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["order_seed"] = node.config.option.order_seed


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object | None:
    return OneBrowserScheduling(config, log) if config.option.one_browser else None


def pytest_collection_finish() -> None:
    """Exempt permanent objects from garbage collection: it would walk all modules and tests, while everything waits."""
    gc.freeze()


def pytest_report_header(config: pytest.Config) -> str:
    return f"order of tests: --order-seed {config.option.order_seed}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Select the tests of the requested targets, order them, and require unique ids."""
    _require_ids(items)
    wanted = config.option.target or TARGETS
    if others := [item for item in items if target_of(item) not in wanted]:
        config.hook.pytest_deselected(items=others)
    items[:] = shuffled([item for item in items if target_of(item) in wanted], config.option.order_seed)


def _require_ids(items: list[pytest.Item]) -> None:
    """Require unique test ids: of tests with the same id, only one runs when tests run in parallel."""
    for item in items:
        # Since pytest 9 the name that schemathesis gives to a test of an operation is not a part of its id.
        operation = getattr(item, "operation_label", None)
        if operation and operation not in item.nodeid:
            item._id = item.id.with_params(operation)
    shared = [nodeid for nodeid, count in Counter(item.nodeid for item in items).items() if count > 1]
    if shared:
        raise pytest.UsageError(f"more than one test has the id {', '.join(shared)}")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown() -> Generator[None, object, object]:
    """Limit the teardown of a test that ran out of its time: pytest-timeout has one alarm a test, and it has rung.

    Each fixture whose end hangs is cut off, so that the next one ends too.
    """
    if signal.getitimer(signal.ITIMER_REAL)[0]:
        return (yield)

    def cut_off(*_: object) -> None:
        pytest.fail(f"this teardown takes longer than {LATE_TEARDOWN_SECONDS:.0f} s")

    before = signal.signal(signal.SIGALRM, cut_off)
    signal.setitimer(signal.ITIMER_REAL, LATE_TEARDOWN_SECONDS, LATE_TEARDOWN_SECONDS)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run a test marked `quiet` exclusively, across all processes, because it measures speed.

    It is a readers-writer lock over existing files. Every test passes the door first, so a quiet test that waits at the
    door runs as soon as the running tests have ended.
    """
    alone = item.get_closest_marker("quiet") is not None
    with ExitStack() as held:
        with _locked(_DOOR, fcntl.LOCK_EX):
            held.enter_context(_locked(_RUNNING, fcntl.LOCK_EX if alone else fcntl.LOCK_SH))
        return (yield)


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Fail a test that changed shared state: variables, the working directory, objects that modules share."""
    surroundings = Surroundings()
    yield
    if differences := surroundings.differences():
        pytest.fail(f"the test changed {', '.join(differences)}", pytrace=False)


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Restore the logging configuration after a test, because commands configure that of their process."""
    root, structured = logging.getLogger(), structlog.get_config()
    level = root.level
    yield
    root.setLevel(level)
    structlog.configure(**structured)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with running_servers(tmp_path_factory.mktemp("servers")) as servers:
        yield servers


@pytest.fixture(scope="session")
async def template_database(servers: Servers) -> str:
    """Return the name of a migrated and seeded database, of which each test gets a copy."""
    name = "template"
    # Without fsync the data still survive a killed server, though not a dead machine; and a test's database is dropped
    # in 10 ms instead of 500 ms.
    for setting in ("fsync", "full_page_writes"):
        await _execute(servers.database_url, f"ALTER SYSTEM SET {setting} = off")
    await _execute(servers.database_url, "SELECT pg_reload_conf()")
    await _execute(servers.database_url, f"CREATE DATABASE {name}_skyhold")
    url = database_address(servers.database_url, f"{name}_skyhold")
    await migrate(url)
    pool = await open_pool(url, application="tests")
    await pool.execute("UPDATE instance SET id = $1", UUID(INSTANCE))
    await seed_demo_flights(pool)
    await pool.close()
    return f"{name}_skyhold"


@pytest.fixture
async def database_url(servers: Servers, template_database: str) -> AsyncIterator[str]:
    name = f"test_{next(_numbers)}"
    await _execute(servers.database_url, f"CREATE DATABASE {name} TEMPLATE {template_database}")
    yield database_address(servers.database_url, name)
    await _execute(servers.database_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    pool = await open_pool(database_url, application="tests")
    yield pool
    pool.terminate()


@pytest.fixture
async def redis_url(servers: Servers) -> str:
    """Return the URL of an empty Redis."""
    redis = Redis.from_url(servers.redis_url)
    await redis.flushall()
    await redis.aclose()
    return servers.redis_url


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    redis = Redis.from_url(redis_url, decode_responses=True)
    yield redis
    await redis.aclose()


@pytest.fixture(scope="session")
async def temporal_client(servers: Servers) -> Client:
    return await Client.connect(servers.temporal_address, data_converter=DATA_CONVERTER)


def database_address(url: str, name: str) -> str:
    return f"{url.rpartition('/')[0]}/{name}"


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
