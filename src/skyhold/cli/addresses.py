"""The servers of a command: its options, the environment, then a live `skyhold up` (docs/rules.md#command-line)."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

import typer

from skyhold.addresses.http import parse_api
from skyhold.addresses.urls import BadAddressError
from skyhold.cli.failures import ExitCode, Failure
from skyhold.machine.endpoints import Endpoints, read_live_endpoints
from skyhold.machine.environment import environment_of_clients

DEFAULT_DATA_DIR = Path(".skyhold")

_SERVERS = ("DATABASE_URL", "REDIS_URL", "TEMPORAL_ADDRESS")

_ADDRESSES = frozenset({*_SERVERS, "SKYHOLD_API"})

_OWNERS = {"TEMPORAL_NAMESPACE": "TEMPORAL_ADDRESS", "TEMPORAL_TASK_QUEUE": "TEMPORAL_ADDRESS"}
"""Variables that belong to an address and are taken from the same source."""

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
        Failure: no source has an address, it is invalid, or no `skyhold up` is ready in the given directory.
    """
    if address:
        return _require_api(address, "--api")
    endpoints = _endpoints_of(data_dir)
    if not endpoints and (named := os.environ.get("SKYHOLD_API")):
        return _require_api(named, "SKYHOLD_API")
    if endpoints := endpoints or _endpoints_by_default():
        return endpoints.api
    raise Failure(
        "The address of Skyhold is not known: start one with `skyhold up`, or give --api, --data-dir or SKYHOLD_API.",
        ExitCode.USAGE,
    )


def adopt_servers(data_dir: Path | None) -> None:
    """Put the addresses of the servers to use into this process's environment, before settings are read from it.

    Those of a data directory given by option override the environment; those of the default one fill its gaps.
    Variables for other servers are removed, so that they do not affect our own.

    Raises:
        Failure: no `skyhold up` is ready in the given directory.
    """
    asked = _endpoints_of(data_dir)
    if endpoints := asked or _endpoints_by_default():
        _adopt(endpoints, kept=frozenset() if asked else _given())


def _given() -> frozenset[str]:
    """Return the addresses that the environment itself contains."""
    return frozenset(name for name in _ADDRESSES if os.environ.get(name))


def _adopt(endpoints: Endpoints, *, kept: frozenset[str]) -> None:
    """Put the servers of `endpoints` into the environment, except those of the variables that are kept."""
    pids = endpoints.pids
    ours = {
        name
        for name, pid in zip(_SERVERS, (pids.postgres, pids.redis, pids.temporal), strict=True)
        if pid is not None and name not in kept
    }
    adopted = {name: value for name, value in _variables_of(endpoints).items() if _OWNERS.get(name, name) not in kept}
    environment = environment_of_clients(
        os.environ, is_temporal_ours="TEMPORAL_ADDRESS" in ours, are_all_ours=len(ours) == len(_SERVERS)
    )
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment | adopted)


def is_this_machine(host: str) -> bool:
    """Return whether the host is localhost or a loopback address, so that it always means this machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def uses_proxies(address: str) -> bool:
    """Return whether the environment's proxies apply to an API: they do not on this machine."""
    try:
        hosts = parse_api(address).hosts
    except BadAddressError:
        return True
    return not all(is_this_machine(host) or _is_own(host) for host, _ in hosts)


def _is_own(host: str) -> bool:
    """Return whether an IP address is one of this machine's: only those can be bound."""
    try:
        family = socket.AF_INET6 if ip_address(host).version == 6 else socket.AF_INET  # noqa: PLR2004 - IPv6
        with socket.socket(family) as probe:
            probe.bind((host, 0))
    except (OSError, ValueError):
        return False
    return True


def _require_api(text: str, source: str) -> str:
    try:
        url = parse_api(text)
    except BadAddressError as error:
        raise Failure(f"{source}: {error}.", ExitCode.USAGE) from None
    if len(url.hosts) != 1:
        raise Failure(f"{source}: must name one host, such as http://localhost:8080.", ExitCode.USAGE)
    return text.strip()


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
    endpoints = read_live_endpoints(data_dir)
    if endpoints is None:
        raise Failure(f"No `skyhold up` is ready in {data_dir}.", ExitCode.UNREACHABLE)
    return endpoints


def _endpoints_by_default() -> Endpoints | None:
    return read_live_endpoints(DEFAULT_DATA_DIR)
