"""`skyhold worker`: runs bookings until it is stopped."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import structlog
import typer

from skyhold.cli.addresses import DataDir
from skyhold.cli.failures import ExitCode, guarded
from skyhold.cli.output import print_facts, say, stdout
from skyhold.cli.standard_streams import unheard
from skyhold.cli.stopping import StopSignals

if TYPE_CHECKING:
    from skyhold.bootstrap.workers import RunningWorker
    from skyhold.settings import Settings

STOP_SECONDS = 12.0
"""Longer than the activities' grace period; after it the process ends anyway, and Temporal runs the work again."""

_REPLACED = (
    "Temporal at {}, is not the one with which this worker started: it lost its data, or was replaced. "
    "Start the worker again to use it; `skyhold reconcile` then lists the orders of the lost one."
)

_log = structlog.get_logger(__name__)


@guarded
def worker(*, data_dir: DataDir = None) -> None:
    """Run a worker against the servers of DATABASE_URL, REDIS_URL and TEMPORAL_ADDRESS.

    Example: TEMPORAL_ADDRESS=temporal:7233 DATABASE_URL=… REDIS_URL=… skyhold worker
    """
    from skyhold.bootstrap.ledger import require_usable_ledger  # noqa: PLC0415 - drivers load only where they are used
    from skyhold.cli.logs import configure_logging  # noqa: PLC0415
    from skyhold.cli.servers import explained, settings_for  # noqa: PLC0415

    settings = settings_for(data_dir)
    with explained(settings):
        asyncio.run(require_usable_ledger(settings))
        configure_logging(settings.log_format, settings.log_level)
        raise typer.Exit(asyncio.run(_work(settings)))


async def _work(settings: Settings) -> ExitCode:
    from skyhold.bootstrap.temporal import forward_temporal_logs  # noqa: PLC0415
    from skyhold.bootstrap.temporal_configuration import temporal_configuration  # noqa: PLC0415
    from skyhold.bootstrap.workers import open_worker  # noqa: PLC0415

    temporal_configuration()  # raises its errors before any server is called
    forward_temporal_logs(settings.log_level)
    stop = StopSignals()
    async with open_worker(settings) as running:
        await _tell_trouble_with_clock(settings)
        with unheard():
            _announce(running)
        work = asyncio.create_task(running.worker.run())
        told = asyncio.create_task(stop.wait())
        replaced = asyncio.create_task(running.until_replaced())
        done, _ = await asyncio.wait({work, told, replaced}, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        replaced.cancel()
        if replaced in done:
            await replaced
            say(_REPLACED.format(running.temporal))
        if not work.done():
            say("Stopping the worker")
            await _shut_down(running, work)
        await work
    return ExitCode.REFUSED if replaced in done else stop.exit_code


async def _shut_down(running: RunningWorker, work: asyncio.Task[None]) -> None:
    ending = asyncio.create_task(running.worker.shutdown())
    await asyncio.wait({work, ending}, timeout=STOP_SECONDS)
    if not work.done():
        # The SDK's own threads may block the interpreter's shutdown; every ledger transaction stays whole.
        say(f"The worker did not stop within {STOP_SECONDS:.0f} s and is terminated.")
        os._exit(ExitCode.REFUSED)
    await ending


def _announce(running: RunningWorker) -> None:
    print_facts(
        {
            "Temporal": running.temporal,
            "PostgreSQL": running.database,
            "Redis": running.redis,
            "Workflows": ", ".join(running.workflow_names),
            "Activities": ", ".join(running.activity_names),
        }
    )
    stdout().print(f"Worker starting on task queue: {running.task_queue}", markup=False)


async def _tell_trouble_with_clock(settings: Settings) -> None:
    """Warn of a wrong clock: bookings do not depend on it, but certificates and these logs do."""
    from skyhold.bootstrap.health import clock_trouble_of  # noqa: PLC0415

    if trouble := await clock_trouble_of(settings):
        _log.warning("clock of this machine is wrong; synchronise it with NTP", clock=trouble)
