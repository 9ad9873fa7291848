"""The API's listening socket for a host and a port, or one line with the reason why not and the setting to change."""

from __future__ import annotations

import errno
import os
import socket
from ipaddress import ip_address

ANY_IPV6 = "::"

_LOOPBACK = "127.0.0.1"

_REASONS = {
    errno.EADDRNOTAVAIL: "it is not an address of this machine; 127.0.0.1 is for this machine only, :: for all",
    errno.EAFNOSUPPORT: "this machine has no IPv6",
    errno.EACCES: "this user may not have the port; choose one from 1024 on by SERVER_PORT",
    errno.EPERM: "this user may not have the port; choose one from 1024 on by SERVER_PORT",
}


class CannotListenError(Exception):
    """The socket cannot be opened; `is_taken` if another process listens there, so that the settings may be right."""

    def __init__(self, message: str, *, is_taken: bool) -> None:
        super().__init__(message)
        self.is_taken = is_taken


def open_listener(host: str, port: int, *, backlog: int) -> socket.socket:
    """Return a listening socket; on `::` it accepts connections of both families.

    Raises:
        CannotListenError: it cannot be opened.
    """
    try:
        found = socket.getaddrinfo(_unmapped(host.strip("[]")), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # A name may stand for addresses of both families; most clients try the older one.
        family, *_, address = min(found, key=lambda info: info[0] != socket.AF_INET)
        is_dual = family == socket.AF_INET6 and ip_address(str(address[0]).partition("%")[0]).is_unspecified
        return socket.create_server(address, family=family, backlog=backlog, dualstack_ipv6=is_dual)
    except (socket.gaierror, UnicodeError) as error:
        raise _refusal(host, port, "its name is not known") from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CannotListenError(
                f"Cannot listen on {host} port {port}: the port is taken; choose another by SERVER_PORT", is_taken=True
            ) from error
        raise _refusal(host, port, _reason_of(error)) from error


def host_to_call(host: str) -> str:
    """Return the host by which a client on this machine reaches a server that listens on `host`."""
    try:
        return _LOOPBACK if ip_address(host.strip("[]")).is_unspecified else host.strip("[]")
    except ValueError:
        return host


def _unmapped(host: str) -> str:
    """Return the IPv4 address that an IPv6 address such as ::ffff:127.0.0.1 stands for; any other host as it is."""
    try:
        return str(getattr(ip_address(host), "ipv4_mapped", None) or host)
    except ValueError:
        return host


def _reason_of(error: OSError) -> str:
    # The error's own text contains the whole address as Python's tuple.
    code = error.errno or 0
    return _REASONS.get(code) or (os.strerror(code) if code else "the socket cannot be opened")


def _refusal(host: str, port: int, reason: str) -> CannotListenError:
    return CannotListenError(f"SERVER_HOST, SERVER_PORT: cannot listen on {host} port {port}: {reason}", is_taken=False)
