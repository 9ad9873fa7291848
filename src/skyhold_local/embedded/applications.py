"""Skyhold's own processes as children: the API and the workers, as a person would start them by hand.

Owns their commands and their variables, not their work.
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
    """One process of Skyhold itself; it runs in the user's working directory, so that relative paths stay valid."""

    # No graceful end: the servers die with us too, and it would only wait for them.
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
        """Return the command given to the constructor."""
        return self._command

    def environment(self) -> dict[str, str]:
        """Return the current variables, with unbuffered output so that the log is never behind."""
        return {**self._variables(), "PYTHONUNBUFFERED": "1"}

    def working_directory(self) -> Path:
        """Return the user's working directory."""
        return Path.cwd()

    def choose_ports(self) -> None:
        """Choose none: the process does not listen."""

    def answers(self) -> bool:
        """Return True: a worker that runs cannot be checked further from outside."""
        return True


class Api(Application):
    """The HTTP API and the pages at `url`; it is ready when `/readyz` is."""

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
        # A wildcard address cannot be called.
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
        """Choose the previous port, or another one if that is taken."""
        self.port = self.remembered_or_free("port")

    def answers(self) -> bool:
        """Return whether `/readyz` reports ready; a clock that is off does not count, since everything works."""
        said = self.readiness()
        checks = said.get("checks")
        wrong = {name for name, check in checks.items() if check != "ok"} if isinstance(checks, dict) else set()
        return said.get("status") == "ready" or wrong == {"clock"}

    def readiness(self) -> dict[str, object]:
        """Return the body of `/readyz`; empty if there is no answer."""
        connection = http.client.HTTPConnection(self._host, self.port, timeout=_ANSWER_SECONDS)
        try:
            connection.request("GET", "/readyz")
            said = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError):
            return {}
        finally:
            connection.close()
        return said if isinstance(said, dict) else {}
