"""Skyhold's own processes as children: the API and the workers, as anyone would start them by hand.

Owns how they are run and what variables they see. What they do is theirs.
"""

import http.client
import json
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from skyhold.addresses.listening import host_to_call
from skyhold_local.embedded.child import Child
from skyhold_local.embedded.data_directory import DataDirectory

_ANSWER_SECONDS = 3.0


class Application(Child):
    """One process of Skyhold itself; it runs where the user stands, so that relative paths in variables hold."""

    # No gentle end without the servers, which die with us too: it would only wait for them.
    death_signal = signal.SIGKILL

    def __init__(
        self,
        directory: DataDirectory,
        *,
        name: str,
        command: Sequence[str],
        variables: Callable[[], Mapping[str, str]],
    ) -> None:
        super().__init__(directory)
        self.name = name
        self._command = command
        self._variables = variables

    def command(self) -> Sequence[str | Path]:
        """Return the command it was made with."""
        return self._command

    def environment(self) -> dict[str, str]:
        """Return the variables as they are by now, unbuffered so that its log is never behind."""
        return {**self._variables(), "PYTHONUNBUFFERED": "1"}

    def working_directory(self) -> Path:
        """Return where the user stands."""
        return Path.cwd()

    def choose_ports(self) -> None:
        """Choose none: it listens nowhere."""

    def answers(self) -> bool:
        """Tell that it runs, which is all that can be seen of a worker from outside."""
        return True


class Api(Application):
    """The HTTP API and the pages, asked for their readiness at `url`."""

    def __init__(
        self,
        directory: DataDirectory,
        *,
        command: Sequence[str],
        variables: Callable[[], Mapping[str, str]],
        host: str,
        port: int,
    ) -> None:
        super().__init__(directory, name="api", command=command, variables=variables)
        self._listens_on = host
        # An address that stands for all of the machine's is no address to call.
        self._host = host_to_call(host)
        self.port = port
        self._is_port_settled = bool(port)

    @property
    def url(self) -> str:
        """The address of the pages."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}"

    def environment(self) -> dict[str, str]:
        """Return the variables, with the port that was chosen for this launch."""
        return {**super().environment(), "SERVER_HOST": self._listens_on, "SERVER_PORT": str(self.port)}

    def choose_ports(self) -> None:
        """Choose the port of last time, or any other if that is taken."""
        self.port = self.remembered_or_free("port")

    def answers(self) -> bool:
        """Tell whether it says that all of Skyhold is there; a clock that is off keeps nothing from working."""
        said = self.readiness()
        checks = said.get("checks")
        wrong = {name for name, check in checks.items() if check != "ok"} if isinstance(checks, dict) else set()
        return said.get("status") == "ready" or wrong == {"clock"}

    def readiness(self) -> dict[str, object]:
        """Return what `/readyz` says; empty if nobody answers there."""
        connection = http.client.HTTPConnection(self._host, self.port, timeout=_ANSWER_SECONDS)
        try:
            connection.request("GET", "/readyz")
            said = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError):
            return {}
        finally:
            connection.close()
        return said if isinstance(said, dict) else {}
