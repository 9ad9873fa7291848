"""Shared by the commands that use PostgreSQL, Redis and Temporal directly: their settings and their failures."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from skyhold.addresses.shown import show_address
from skyhold.bootstrap.given import RedisMisconfigured, RedisUnreachable
from skyhold.bootstrap.ledger import SchemaOutdatedError
from skyhold.cli.addresses import adopt_servers
from skyhold.cli.failures import ExitCode, Failure
from skyhold.cli.logs import configure_logging
from skyhold.domain.errors import DatabaseUnavailable, WorkflowUnavailable
from skyhold.postgresql.errors import PostgresMisconfigured
from skyhold.setting_errors import BadSettingError, MissingSettingError
from skyhold.settings import Settings, read_settings


def settings_for(data_dir: Path | None) -> Settings:
    """Return the settings, with the servers of a live `skyhold up` where the environment names none.

    Unless a command configures logging itself, a failure prints only its one line, without log lines before it.

    Raises:
        Failure: a setting is invalid, or no `skyhold up` is ready in the given directory.
    """
    configure_logging("console", "error")
    adopt_servers(data_dir)
    return settings_of_environment()


def settings_of_environment() -> Settings:
    """Return the settings of the environment.

    Raises:
        Failure: a setting is invalid.
    """
    try:
        return read_settings()
    except BadSettingError as error:
        raise Failure(str(error), ExitCode.USAGE) from error


@contextlib.contextmanager
def explained(settings: Settings) -> Iterator[None]:
    """Convert errors of servers to a `Failure` that names the server and its setting."""
    try:
        yield
    except (MissingSettingError, BadSettingError) as error:
        raise Failure(f"{error}.".replace("..", "."), ExitCode.USAGE) from error
    except SchemaOutdatedError as error:
        raise Failure(str(error)) from error
    except DatabaseUnavailable as error:
        where = show_address("DATABASE_URL", settings.database_url)
        remedy = f" {error.remedy}" if isinstance(error, PostgresMisconfigured) else ""
        code = ExitCode.USAGE if isinstance(error, PostgresMisconfigured) else ExitCode.UNREACHABLE
        raise Failure(f"PostgreSQL at {where} cannot be used (DATABASE_URL): {error}.{remedy}", code) from error
    except RedisUnreachable as error:
        code = ExitCode.USAGE if isinstance(error, RedisMisconfigured) else ExitCode.UNREACHABLE
        raise Failure(str(error), code) from error
    except WorkflowUnavailable as error:
        raise Failure(str(error.__cause__ or error), ExitCode.UNREACHABLE) from error
