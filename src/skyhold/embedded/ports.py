"""Ports on the loopback interface: which are free. Binds nothing for longer than the question takes."""

import errno
import socket

from skyhold.embedded.errors import PortTaken

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """Return a port that nobody listens on now; another process may still take it before it is used."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def is_port_free(port: int) -> bool:
    """Tell whether a server could listen on the port now."""
    with socket.socket() as probe:
        # Servers set this too: connections that linger after a restart do not hold a port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES, errno.EPERM}:
                return False
            raise
    return True


def require_free_port(port: int, *, flag: str) -> None:
    """Refuse a port that cannot be listened on; 0 stands for any and is always free.

    Raises:
        PortTaken: somebody else has the port.
    """
    if port and not is_port_free(port):
        raise PortTaken(f"Port {port} is taken. Choose another with {flag} PORT, or {flag} 0 for any free one.")
