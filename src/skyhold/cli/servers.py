"""What the commands that use PostgreSQL, Redis and Temporal themselves share: settings, and what a failure means."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from skyhold.bootstrap.addresses import MissingSettingError, bare_address
from skyhold.bootstrap.ledger import SchemaOutdatedError
from skyhold.cli.addresses import adopt_servers
from skyhold.cli.failures import ExitCode, Failure
from skyhold.cli.logs import configure_logging
from skyhold.domain.errors import DatabaseUnavailable, WorkflowUnavailable
from skyhold.postgresql.errors import PostgresMisconfigured
from skyhold.settings import BadSettingError, Settings, read_settings


def settings_for(data_dir: Path | None) -> Settings:
    """Return the settings, with the servers of a live `skyhold up` where the environment names none.

    Until a command says otherwise, its failure is told by its one line alone, and not by log lines before it.

    Raises:
        Failure: a setting has a value that cannot be meant, or nothing is up where the options say.
    """
    configure_logging("console", "error")
    adopt_servers(data_dir)
    try:
        return read_settings()
    except BadSettingError as error:
        raise Failure(str(error), ExitCode.USAGE) from error


@contextlib.contextmanager
def explained(settings: Settings) -> Iterator[None]:
    """Turn what can go wrong with servers into a line that names the server and its setting."""
    try:
        yield
    except (MissingSettingError, BadSettingError) as error:
        raise Failure(f"{error}.".replace("..", "."), ExitCode.USAGE) from error
    except SchemaOutdatedError as error:
        raise Failure(str(error)) from error
    except DatabaseUnavailable as error:
        where = bare_address(settings.database_url or "")
        remedy = f" {error.remedy}" if isinstance(error, PostgresMisconfigured) else ""
        code = ExitCode.USAGE if isinstance(error, PostgresMisconfigured) else ExitCode.UNREACHABLE
        raise Failure(f"PostgreSQL at {where} cannot be used (DATABASE_URL): {error}.{remedy}", code) from error
    except WorkflowUnavailable as error:
        where = os.environ.get("TEMPORAL_ADDRESS") or "the address of Temporal's own configuration"
        raise Failure(f"Temporal at {where} cannot be reached (TEMPORAL_ADDRESS).", ExitCode.UNREACHABLE) from error
