"""The errors of servers on this machine. Every message is meant for a person.

EmbeddedError
├── DirectoryInUse     another supervisor holds the data directory
├── DirectoryUnusable  the data directory cannot be used in its present state
├── PortTaken          a requested port belongs to another process
├── ServerDidNotStart  a server ended or stayed silent
└── StackNotReady      everything was started, but Skyhold did not become ready
"""


class EmbeddedError(Exception):
    """Name the reason why servers on this machine are unavailable."""


class DirectoryInUse(EmbeddedError):
    """Name the process that holds the data directory."""


class DirectoryUnusable(EmbeddedError):
    """Name the fault of the data directory."""


class PortTaken(EmbeddedError):
    """Name the port that is taken and the option for another one."""


class ServerDidNotStart(EmbeddedError):
    """Name the server that did not start and show the end of its log."""


class StackNotReady(EmbeddedError):
    """Name the reason why Skyhold is not ready."""

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code
