"""What can go wrong with servers on this machine. Every message is one for a person to read.

EmbeddedError
├── DirectoryInUse     another supervisor holds the data directory
├── DirectoryUnusable  the data directory cannot be used as it is
├── PortTaken          a port asked for belongs to someone else
├── ServerDidNotStart  a server ended or stayed silent
└── StackNotReady      everything was started, yet the whole did not become ready
"""


class EmbeddedError(Exception):
    """Say why servers on this machine cannot be had."""


class DirectoryInUse(EmbeddedError):
    """Name the process that holds the data directory."""


class DirectoryUnusable(EmbeddedError):
    """Say what is wrong with the data directory."""


class PortTaken(EmbeddedError):
    """Name the port that is taken and how to choose another."""


class ServerDidNotStart(EmbeddedError):
    """Name the server that did not start and show the end of its log."""


class StackNotReady(EmbeddedError):
    """Say what keeps the whole from being ready."""

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code
