"""`skyhold api`: serves HTTP until it is stopped."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import structlog
import typer

from skyhold.addresses.listening import CannotListenError, open_listener
from skyhold.cli.addresses import DataDir
from skyhold.cli.failures import ExitCode, Failure, guarded
from skyhold.cli.output import stdout
from skyhold.cli.standard_streams import unheard
from skyhold.cli.stopping import StopSignals

if TYPE_CHECKING:
    from skyhold.health.verdict import Checks
    from skyhold.settings import Settings

_SERVERS = frozenset({"postgresql", "redis", "temporal"})

_log = structlog.get_logger(__name__)


@guarded
def api(*, data_dir: DataDir = None) -> None:
    """Serve the HTTP API on SERVER_HOST and SERVER_PORT; it starts even if its servers are unavailable.

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
    from skyhold.web.edge.server import server_of  # noqa: PLC0415

    forward_temporal_logs(settings.log_level)
    stop = StopSignals()
    async with open_api(settings) as app:
        with _listen(settings) as listener:
            server = server_of(app, keep_alive=settings.keep_alive_timeout)
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            told = asyncio.create_task(stop.wait())
            with unheard():
                stdout().print(f"API listening on {_url_of(listener)}", markup=False)
            looking = asyncio.create_task(_warn_of_servers(app.state.services.checks))
            await asyncio.wait({serving, told}, return_when=asyncio.FIRST_COMPLETED)
            told.cancel()
            looking.cancel()
            server.should_exit = True
            await app.state.services.live.close()  # otherwise open streams delay the server's shutdown
            await serving
    return stop.exit_code


async def _warn_of_servers(checks: Checks) -> None:
    """Log each failed check of a server once, since the API starts without it."""
    for name, said in (await checks.ask()).items():
        if name in _SERVERS and said != "ok":
            _log.warning("started without a server", check=name, reason=said)


def _listen(settings: Settings) -> socket.socket:
    from skyhold.web.edge.server import BACKLOG  # noqa: PLC0415

    try:
        return open_listener(settings.server_host, settings.server_port, backlog=BACKLOG)
    except CannotListenError as error:
        raise Failure(f"{error}.", ExitCode.REFUSED if error.is_taken else ExitCode.USAGE) from error


def _url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
