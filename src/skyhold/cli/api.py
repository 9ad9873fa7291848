"""`skyhold api`: serves HTTP until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from skyhold.cli.addresses import DataDir
from skyhold.cli.failures import ExitCode, Failure, guarded
from skyhold.cli.output import stdout
from skyhold.cli.stopping import StopSignals

if TYPE_CHECKING:
    from skyhold.settings import Settings


@guarded
def api(*, data_dir: DataDir = None) -> None:
    """Serve the HTTP API on SERVER_HOST and SERVER_PORT; it starts while its servers are still away.

    Example: SERVER_PORT=8080 DATABASE_URL=… REDIS_URL=… TEMPORAL_ADDRESS=… skyhold api
    """
    import uvloop  # noqa: PLC0415 - loads only where it is used

    from skyhold.bootstrap.ledger import require_usable_ledger  # noqa: PLC0415
    from skyhold.cli.logs import configure_logging  # noqa: PLC0415
    from skyhold.cli.servers import explained, settings_for  # noqa: PLC0415

    settings = settings_for(data_dir)
    with explained(settings), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(require_usable_ledger(settings))
        configure_logging(settings.log_format, settings.log_level)
        raise typer.Exit(runner.run(_serve(settings)))


async def _serve(settings: Settings) -> ExitCode:
    from skyhold.bootstrap.api import open_api  # noqa: PLC0415
    from skyhold.bootstrap.temporal import forward_temporal_logs  # noqa: PLC0415
    from skyhold.web.server import BACKLOG, server_of  # noqa: PLC0415

    forward_temporal_logs(settings.log_level)
    stop = StopSignals()
    async with open_api(settings) as app:
        with _listening(settings.server_host, settings.server_port, backlog=BACKLOG) as listener:
            server = server_of(app)
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            told = asyncio.create_task(stop.wait())
            stdout().print(f"API listening on {_url_of(listener)}", markup=False)
            await asyncio.wait({serving, told}, return_when=asyncio.FIRST_COMPLETED)
            told.cancel()
            server.should_exit = True
            await app.state.services.live.close()  # or its streams would keep the server for as long as it waits
            await serving
    return stop.exit_code


@contextlib.contextmanager
def _listening(host: str, port: int, *, backlog: int) -> Iterator[socket.socket]:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=backlog)
    except OSError as error:
        raise Failure(f"Cannot listen on {host} port {port} (SERVER_HOST, SERVER_PORT): {error.strerror}.") from error
    with listener:
        yield listener


def _url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
