"""The Temporal development server as a child: its database file, its flags, its ports.

Owns the folder of its file, not the workflows, schedules or further namespaces in it.
"""

import http.client
import signal
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from skyhold.machine.programs import find_temporal
from skyhold.messages import STATUS_ATTRIBUTE
from skyhold_local.embedded.binaries import reachable_by
from skyhold_local.embedded.child import Child
from skyhold_local.embedded.data_directory import DataDirectory
from skyhold_local.embedded.ports import LOOPBACK, free_port
from skyhold_local.embedded.processes import StopStep
from skyhold_local.embedded.users import ServerUser

DEFAULT_NAMESPACE = "default"
_ANSWER_SECONDS = 1.0
_SEARCH_ATTRIBUTES = (f"{STATUS_ATTRIBUTE}=Keyword",)
_PRAGMAS = ("journal_mode=wal", "synchronous=normal")
_DYNAMIC_CONFIGURATION = (
    # Otherwise each hop of a workflow would wait up to 50 ms for the next poll.
    "history.transferProcessorMaxPollRPS=1000",
    # Otherwise timers below a second would fire after a second.
    'history.timerProcessorMaxTimeShift="10ms"',
)


class TemporalServer(Child):
    """Temporal on one SQLite file; `address` is host:port, `ui_url` its web pages.

    It listens on four more ports that it chooses itself. `--ip` puts all of them on loopback; when it loses one to
    another process it ends, and is launched again with others.
    """

    name = "temporal"
    stop_steps = (StopStep(signal.SIGINT, 10), StopStep(signal.SIGKILL, 5))
    death_signal = signal.SIGINT
    ready_seconds = 60.0

    def __init__(
        self, directory: DataDirectory, *, port: int = 0, ui_port: int = 0, namespace: str = DEFAULT_NAMESPACE
    ) -> None:
        super().__init__(directory, port=port)
        self.namespace = namespace
        self.ui_port = ui_port
        self._is_service_port_fixed = bool(port)
        self._is_ui_port_fixed = bool(ui_port)
        # Both fixed: no choice is left. One fixed: the other is chosen until the server was ready on it.
        self._is_port_settled = bool(port and ui_port)
        self._http_port = 0
        self._folder = directory.folder("temporal")
        self._program = reachable_by(self.user(), find_temporal(), copies=directory.server_state / "bin")

    @property
    def address(self) -> str:
        """The address of the service."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def ui_url(self) -> str:
        """The address of the web pages."""
        return f"http://{LOOPBACK}:{self.ui_port}"

    def user(self) -> ServerUser | None:
        """Return the user to run as: the owner of the data directory, who owns the file."""
        return self.directory.owner

    def working_directory(self) -> Path:
        """Return the folder of the database: a path in `--db-filename` would be parsed as a part of an address."""
        return self._folder

    def ports(self) -> dict[str, int]:
        """Return the ports to record: the service's and the pages'."""
        return {**super().ports(), "ui_port": self.ui_port}

    def choose_ports(self) -> None:
        """Choose both ports, except one that was given."""
        if not self._is_service_port_fixed:
            super().choose_ports()
        if not self._is_ui_port_fixed:
            self.ui_port = self.remembered_or_free("ui_port")

    def command(self) -> Sequence[str | Path]:
        """Return the server's command, with the flags that make it fast and keep it on loopback."""
        # Used only for our readiness check, so it is new at every launch.
        self._http_port = free_port()
        return [
            *(self._program, "server", "start-dev", "--ip", LOOPBACK, "--ui-ip", LOOPBACK),
            *("--port", str(self.port), "--ui-port", str(self.ui_port), "--http-port", str(self._http_port)),
            *("--db-filename", "temporal.db", "--namespace", self.namespace),
            *("--log-level", "error", "--ui-disable-news-fetch", "--disable-config-file", "--disable-config-env"),
            *(part for pragma in _PRAGMAS for part in ("--sqlite-pragma", pragma)),
            *(part for value in _DYNAMIC_CONFIGURATION for part in ("--dynamic-config-value", value)),
            *(part for attribute in _SEARCH_ATTRIBUTES for part in ("--search-attribute", attribute)),
        ]

    def answers(self) -> bool:
        """Return whether the service knows its namespace, by its HTTP API, which needs no client."""
        connection = http.client.HTTPConnection(LOOPBACK, self._http_port, timeout=_ANSWER_SECONDS)
        try:
            connection.request("GET", f"/api/v1/namespaces/{quote(self.namespace, safe='')}")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
