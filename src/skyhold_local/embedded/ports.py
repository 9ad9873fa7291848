"""Free ports on the loopback interface. Binds a port only to check it."""

import errno
import os
import random
import socket
from collections import deque
from collections.abc import Iterator

from skyhold.addresses.listening import CannotListenError, open_listener
from skyhold_local.embedded.errors import PortTaken, StackNotReady

LOOPBACK = "127.0.0.1"


_LOWEST, _HIGHEST = 20_000, 32_767
"""Below the ports that systems give to outgoing connections (Linux from 32768, macOS from 49152).

A server that is killed must get its port again at once, and a connection may have taken one of those meanwhile.
"""

_BLOCK = 64
"""Each process chooses from a block of its own first, by its pid.

The port of a server that is down for a moment looks free, so another process might take it permanently.
"""

_TRIES = 100
_draw = random.SystemRandom()  # processes that are forked draw differently
_given: deque[int] = deque(maxlen=_BLOCK // 2)


def free_port() -> int:
    """Return a port without a listener, and not one of those that this process was given last.

    Another process may still take it before it is used.

    Raises:
        PortTaken: none of the candidates was free.
    """
    for port in _candidates():
        if port not in _given and is_port_free(port):
            _given.append(port)
            return port
    raise PortTaken(f"Of {_TRIES} ports between {_LOWEST} and {_HIGHEST}, none is free.")


def _candidates() -> Iterator[int]:
    blocks = max(1, (_HIGHEST + 1 - _LOWEST) // _BLOCK)
    first = _LOWEST + os.getpid() % blocks * _BLOCK
    block = range(first, min(first + _BLOCK, _HIGHEST + 1))
    yield from _draw.sample(block, len(block))
    for _ in range(_TRIES):
        yield _draw.randint(_LOWEST, _HIGHEST)


def is_port_free(port: int) -> bool:
    """Return whether a server could listen on the port now."""
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


def require_free_port(port: int, *, flag: str, host: str = LOOPBACK) -> None:
    """Reject a port that cannot be listened on; 0 means any free port and is always accepted.

    Raises:
        PortTaken: another process has the port.
        StackNotReady: there is no such host, or this user may not use the port.
    """
    try:
        open_listener(host, port, backlog=1).close()
    except CannotListenError as error:
        if not error.is_taken:
            raise StackNotReady(f"{error}.", exit_code=2) from error
        raise PortTaken(
            f"Port {port} is taken. Choose another with {flag} PORT, or {flag} 0 for any free one."
        ) from error
