"""Where a command finds its servers: its options, the environment, then a live `skyhold up` (product.md, section 6)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skyhold.cli.failures import ExitCode, Failure

if TYPE_CHECKING:
    from skyhold.embedded.endpoints import Endpoints

DEFAULT_DATA_DIR = Path(".skyhold")

DataDir = Annotated[
    Path | None,
    typer.Option(
        help="Use the servers of the `skyhold up` in this directory.", show_default=f"{DEFAULT_DATA_DIR}, if one is up"
    ),
]
ApiAddress = Annotated[
    str | None,
    typer.Option("--api", metavar="URL", help="Address of the API; else SKYHOLD_API, else that of --data-dir."),
]


def find_api(address: str | None, data_dir: Path | None) -> str:
    """Return the address of the API.

    Raises:
        Failure: nothing says where it is, or nothing is up where the options say.
    """
    if address:
        return address
    endpoints = _endpoints_of(data_dir)
    if not endpoints and (named := os.environ.get("SKYHOLD_API")):
        return named
    if endpoints := endpoints or _endpoints_by_default():
        return endpoints.api
    raise Failure(
        "Nothing says where Skyhold is: start one with `skyhold up`, or give --api, --data-dir or SKYHOLD_API.",
        ExitCode.USAGE,
    )


def adopt_servers(data_dir: Path | None) -> None:
    """Let the environment of this process name the servers to use, before settings are read from it.

    Those of a data directory that was asked for go before the environment; those of the default one fill its gaps.

    Raises:
        Failure: nothing is up in the directory that was asked for.
    """
    if asked := _endpoints_of(data_dir):
        os.environ.update(_variables_of(asked))
    elif default := _endpoints_by_default():
        for name, value in _variables_of(default).items():
            if not os.environ.get(name):
                os.environ[name] = value


def is_this_machine(host: str) -> bool:
    """Say whether the host is this machine, where no proxy of the environment has any business."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _variables_of(endpoints: Endpoints) -> Mapping[str, str]:
    return {
        "SKYHOLD_API": endpoints.api,
        "DATABASE_URL": endpoints.database_url,
        "REDIS_URL": endpoints.redis_url,
        "TEMPORAL_ADDRESS": endpoints.temporal,
        "TEMPORAL_NAMESPACE": endpoints.namespace,
        "TEMPORAL_TASK_QUEUE": endpoints.task_queue,
    }


def _endpoints_of(data_dir: Path | None) -> Endpoints | None:
    if data_dir is None:
        return None
    endpoints = _read_live(data_dir)
    if endpoints is None:
        raise Failure(f"No `skyhold up` is ready in {data_dir}.", ExitCode.UNREACHABLE)
    return endpoints


def _endpoints_by_default() -> Endpoints | None:
    return _read_live(DEFAULT_DATA_DIR)


def _read_live(data_dir: Path) -> Endpoints | None:
    try:
        # Needs psutil, of the extra `embedded`; without it nothing on this machine was started by `skyhold up`.
        from skyhold.embedded.endpoints import read_live_endpoints  # noqa: PLC0415
    except ModuleNotFoundError:
        return None
    return read_live_endpoints(data_dir)
