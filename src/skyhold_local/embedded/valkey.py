"""Valkey (or Redis) as a child: its configuration, its start on loopback with a password, its append-only file.

Owns the folder of its data, not the meaning of the keys.
"""

import signal
import socket
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

from skyhold.machine.private_files import write_private
from skyhold.machine.programs import find_valkey
from skyhold_local.embedded.binaries import reachable_by
from skyhold_local.embedded.child import Child
from skyhold_local.embedded.data_directory import DataDirectory
from skyhold_local.embedded.ports import LOOPBACK
from skyhold_local.embedded.processes import StopStep
from skyhold_local.embedded.users import ServerUser

_ANSWER_SECONDS = 1.0


class ValkeyServer(Child):
    """Valkey with every acknowledged write on disk; `url` opens its database 0."""

    name = "redis"
    stop_steps = (StopStep(signal.SIGTERM, 10), StopStep(signal.SIGKILL, 5))

    def __init__(self, directory: DataDirectory, *, port: int = 0) -> None:
        super().__init__(directory, port=port)
        self._folder = directory.server_folder("redis")
        self._program = reachable_by(self.user(), find_valkey(), copies=directory.server_state / "bin")

    @property
    def url(self) -> str:
        """The address, with the password."""
        return f"redis://:{self.directory.secrets.redis_password}@{LOOPBACK}:{self.port}/0"

    def user(self) -> ServerUser | None:
        """Return the user to run as: the same as PostgreSQL's, since it does not need root either."""
        return self.directory.server_user

    def working_directory(self) -> Path:
        """Return the folder of the data, so that no path has to be quoted in the configuration."""
        return self._folder

    def command(self) -> Sequence[str | Path]:
        """Return the server's command; a command never contains secrets."""
        return [self._program, "-"]

    def standard_input(self) -> AbstractContextManager[int | IO[bytes]]:
        """Return the opened configuration file; the server does not get its name.

        It would treat a name with `?` or `[` in it as a pattern, match no file and start without a password.
        """
        configuration = self._folder / "server.conf"
        write_private(configuration, self._configuration())
        return configuration.open("rb")

    def answers(self) -> bool:
        """Return whether the server accepts the password and answers a ping; it replies LOADING while it loads data."""
        try:
            with socket.create_connection((LOOPBACK, self.port), _ANSWER_SECONDS) as connection:
                connection.sendall(f"AUTH {self.directory.secrets.redis_password}\r\nPING\r\n".encode())
                with connection.makefile("rb") as replies:
                    return replies.readline() == b"+OK\r\n" and replies.readline() == b"+PONG\r\n"
        except OSError:
            return False

    def _configuration(self) -> str:
        # Syncing every second lost acknowledged writes when the server was killed.
        return "\n".join(
            (
                f"bind {LOOPBACK}",
                f"port {self.port}",
                f"requirepass {self.directory.secrets.redis_password}",
                "appendonly yes",
                "appendfsync always",
                'save ""',
                "maxmemory-policy noeviction",
                "daemonize no",
                'logfile ""',
                "",
            )
        )
