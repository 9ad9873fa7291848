"""Where the API listens: a socket for a host and a port, or in one line why there can be none, and what to change."""

from __future__ import annotations

import errno
import os
import socket
from ipaddress import ip_address

ANY_IPV6 = "::"

_LOOPBACK = "127.0.0.1"

_REASONS = {
    errno.EADDRNOTAVAIL: "it is no address of this machine; 127.0.0.1 is for this machine alone, :: for all",
    errno.EAFNOSUPPORT: "this machine has no IPv6",
    errno.EACCES: "this user may not have the port; choose one from 1024 on by SERVER_PORT",
    errno.EPERM: "this user may not have the port; choose one from 1024 on by SERVER_PORT",
}


class CannotListenError(Exception):
    """Nothing can listen there; `is_taken` says that another process does, so that the settings may well be meant."""

    def __init__(self, message: str, *, is_taken: bool) -> None:
        super().__init__(message)
        self.is_taken = is_taken


def open_listener(host: str, port: int, *, backlog: int) -> socket.socket:
    """Return a socket that listens; on `::` it takes connections of both families.

    Raises:
        CannotListenError: it cannot be had.
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
    """Return the host by which what listens there is called from this machine."""
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
    # The error's own text has the whole address as Python's tuple in it.
    code = error.errno or 0
    return _REASONS.get(code) or (os.strerror(code) if code else "it cannot be had")


def _refusal(host: str, port: int, reason: str) -> CannotListenError:
    return CannotListenError(f"SERVER_HOST, SERVER_PORT: cannot listen on {host} port {port}: {reason}", is_taken=False)
