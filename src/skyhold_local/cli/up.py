"""`skyhold up`: everything on this machine. Owns the options, output and exit codes; starts nothing itself."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skyhold.cli.failures import ExitCode, Failure, explain_os_error, guarded
from skyhold.cli.output import print_facts, stderr, stdout
from skyhold.cli.standard_streams import unheard

if TYPE_CHECKING:
    from skyhold.machine.endpoints import Endpoints

_DEFAULT_DATA_DIR = Path(".skyhold")


@guarded
def up(
    *,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Directory of bookings, secrets and logs.", show_default=str(_DEFAULT_DATA_DIR)),
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, envvar="SERVER_PORT", help="Port of the API; 0: any free one.")
    ] = 8080,
    temporal_port: Annotated[int, typer.Option(min=0, max=65535, help="Port of Temporal; 0: any free one.")] = 7233,
    temporal_ui_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of Temporal's pages; 0: any free one.")
    ] = 8233,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Number of worker processes.")] = 1,
    ephemeral: Annotated[bool, typer.Option("--ephemeral", help="Keep nothing: delete all data at the end.")] = False,
) -> None:
    """Start everything on this machine: PostgreSQL, Valkey, Temporal, workers and the API.

    A server whose variable is set (DATABASE_URL, REDIS_URL, TEMPORAL_ADDRESS) is used instead.
    Stops everything on Ctrl-C (exit code 130, like any interrupted command) and on SIGTERM (exit code 0); a second
    Ctrl-C does not wait for a graceful end.
    """
    # The servers are an extra, absent in production, where every other command must still run.
    try:
        from skyhold.machine.programs import BinaryMissing  # noqa: PLC0415
        from skyhold.setting_errors import BadSettingError  # noqa: PLC0415
        from skyhold.settings import read_settings  # noqa: PLC0415
        from skyhold_local.embedded.errors import EmbeddedError, StackNotReady  # noqa: PLC0415
        from skyhold_local.embedded.stack import StackOptions  # noqa: PLC0415
        from skyhold_local.embedded.supervisor import supervise  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise Failure(f"{error}. `skyhold up` needs its servers' extra: pip install 'skyhold[embedded]'") from error

    # Checked before anything is started: a bad value would stop each part, one after the other.
    try:
        read_settings()
    except BadSettingError as error:
        raise Failure(f"{error}.", ExitCode.USAGE) from error

    _require_directory()
    options = StackOptions(
        data_dir=data_dir if data_dir or ephemeral else _DEFAULT_DATA_DIR,
        port=port,
        temporal_port=temporal_port,
        temporal_ui_port=temporal_ui_port,
        workers=workers,
        is_ephemeral=ephemeral,
    )
    try:
        received = supervise(options, environment=dict(os.environ), say=_Progress(), on_ready=_print_addresses)
    except StackNotReady as error:
        raise Failure(str(error), _known(error.exit_code)) from error
    except (EmbeddedError, BinaryMissing) as error:
        raise Failure(str(error)) from error
    except OSError as error:
        raise Failure(explain_os_error(error)) from error
    if received == signal.SIGINT:
        raise typer.Exit(ExitCode.INTERRUPTED)


def _require_directory() -> None:
    try:
        Path.cwd()
    except OSError as error:
        raise Failure("The working directory no longer exists: change to another one (cd).") from error


class _Progress:
    """Progress for a person: lines on stderr, with the seconds since the start."""

    def __init__(self) -> None:
        self._console = stderr()
        self._started_at = time.monotonic()

    def __call__(self, line: str) -> None:
        seconds = time.monotonic() - self._started_at
        # The reader of our progress may be gone, as `tee` is after a Ctrl-C; that is not a failure. (Rich exits when
        # its pipe is closed.)
        with suppress(OSError, SystemExit):
            self._console.print(f"[dim]{seconds:6.1f} s[/dim]  ", end="")
            self._console.print(line, markup=False)


def _print_addresses(endpoints: Endpoints, data_dir: Path) -> None:
    """Print the addresses, directories and the way to stop, on stdout."""
    facts = {
        "API": endpoints.api,
        "API docs": f"{endpoints.api}/docs",
        "Temporal UI": endpoints.temporal_ui,
        "Temporal": f"{endpoints.temporal} (namespace {endpoints.namespace}, task queue {endpoints.task_queue})",
        "Data": str(data_dir),
        "Logs": str(data_dir / "logs"),
        "Stop": f"Ctrl-C, or kill {endpoints.pids.supervisor}",
    }
    with unheard():
        stdout().print("Skyhold is ready", style="bold green")
        print_facts(facts)


def _known(exit_code: int) -> ExitCode:
    """Return the exit code of a step if it is one of Skyhold's, otherwise REFUSED."""
    return ExitCode(exit_code) if exit_code in {*ExitCode} else ExitCode.REFUSED
