"""The parts of a Skyhold on this machine: its own servers, the servers used by address, Skyhold's processes.

Owns the composition: children, the variables they see, their endpoints. The supervisor starts, restarts and stops
them.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from skyhold.addresses.shown import show_address
from skyhold.machine.endpoints import Endpoints, Pids
from skyhold.machine.environment import environment_of_clients
from skyhold_local.embedded.applications import Api, Application
from skyhold_local.embedded.child import Child
from skyhold_local.embedded.data_directory import DataDirectory
from skyhold_local.embedded.ports import require_free_port
from skyhold_local.embedded.postgres import PostgresServer
from skyhold_local.embedded.temporal import DEFAULT_NAMESPACE, TemporalServer
from skyhold_local.embedded.valkey import ValkeyServer

_DEFAULT_TASK_QUEUE = "booking-queue"
_DEFAULT_HOST = "127.0.0.1"


@dataclass(frozen=True)
class StackOptions:
    """The options of `skyhold up`.

    `data_dir` None with ephemeral data: no file outside the temporary directory. A port of 0 is any free one.
    """

    data_dir: Path | None
    port: int = 8080
    temporal_port: int = 7233
    temporal_ui_port: int = 8233
    workers: int = 1
    is_ephemeral: bool = False
    # The command line of Skyhold itself, before the name of the command. -P ignores modules in the working directory.
    program: Sequence[str] = (sys.executable, "-P", "-m", "skyhold")


class Stack:
    """The children of one data directory: its own servers, and Skyhold's processes that use them."""

    def __init__(self, directory: DataDirectory, options: StackOptions, environment: Mapping[str, str]) -> None:
        self._directory = directory
        self._options = options
        self._environment = environment
        self._host = environment.get("SERVER_HOST", "").strip() or _DEFAULT_HOST
        self._namespace = environment.get("TEMPORAL_NAMESPACE") or DEFAULT_NAMESPACE
        self.temporal = None if environment.get("TEMPORAL_ADDRESS") else self._make_temporal()
        self.redis = None if environment.get("REDIS_URL") else ValkeyServer(directory)
        self.postgres = None if environment.get("DATABASE_URL") else PostgresServer(directory)
        self.api = Api(
            directory,
            command=[*options.program, "api"],
            variables=self.variables,
            host=self._host,
            port=options.port,
        )
        self.workers = [self.application(f"worker-{number}", "worker") for number in range(1, options.workers + 1)]

    @property
    def servers(self) -> list[Child]:
        """Our servers in starting order: the one with the longest preparation is last, the others start meanwhile."""
        return [server for server in (self.temporal, self.redis, self.postgres) if server is not None]

    @property
    def applications(self) -> list[Child]:
        """Skyhold's own processes in starting order."""
        return [self.api, *self.workers]

    @property
    def borrowed(self) -> dict[str, str]:
        """Servers that are used by address: the variable, and its address without a password."""
        found = {name: self._environment.get(name) for name in ("DATABASE_URL", "REDIS_URL", "TEMPORAL_ADDRESS")}
        return {name: show_address(name, address) for name, address in found.items() if address}

    def application(self, name: str, *command: str) -> Application:
        """Return a process of Skyhold itself that runs the command against the servers of this stack."""
        program = [*self._options.program, *command]
        return Application(self._directory, name=name, command=program, variables=self.variables)

    def require_ports(self) -> None:
        """Reject requested ports that belong to another process, before anything is started.

        Raises:
            PortTaken: one of them is taken.
            StackNotReady: nothing can listen on the host or port of the API.
        """
        require_free_port(self._options.port, flag="--port", host=self._host)
        if self.temporal:
            require_free_port(self._options.temporal_port, flag="--temporal-port")
            require_free_port(self._options.temporal_ui_port, flag="--temporal-ui-port")

    def variables(self) -> dict[str, str]:
        """Return the variables that Skyhold's own processes see, once the servers have their addresses."""
        own = {"SECRET_KEY": self._directory.secrets.secret_key, "RATE_LIMIT": "off"}
        filled = {name: value for name, value in self._environment.items() if value}  # empty counts as unset
        variables = own | environment_of_clients(
            filled, is_temporal_ours=self.temporal is not None, are_all_ours=not self.borrowed
        )
        if self.postgres:
            variables["DATABASE_URL"] = self.postgres.url
        if self.redis:
            variables["REDIS_URL"] = self.redis.url
        if self.temporal:
            variables["TEMPORAL_ADDRESS"] = self.temporal.address
        return variables

    def endpoints(self, *, started_at: datetime) -> Endpoints:
        """Return the current addresses and pids."""
        variables = self.variables()
        return Endpoints(
            api=self.api.url,
            temporal=variables["TEMPORAL_ADDRESS"],
            temporal_ui=self.temporal.ui_url if self.temporal else None,
            namespace=self._namespace,
            task_queue=variables.get("TEMPORAL_TASK_QUEUE", _DEFAULT_TASK_QUEUE),
            database_url=variables["DATABASE_URL"],
            redis_url=variables["REDIS_URL"],
            started_at=started_at,
            pids=Pids(
                supervisor=os.getpid(),
                postgres=self.postgres.pid if self.postgres else None,
                redis=self.redis.pid if self.redis else None,
                temporal=self.temporal.pid if self.temporal else None,
                api=self.api.pid,
                workers=tuple(worker.pid for worker in self.workers),
            ),
        )

    def _make_temporal(self) -> TemporalServer:
        options = self._options
        return TemporalServer(
            self._directory, port=options.temporal_port, ui_port=options.temporal_ui_port, namespace=self._namespace
        )
