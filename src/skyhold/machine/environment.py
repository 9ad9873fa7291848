"""Which variables of a shell are meant for other servers: decided here for everything that starts or uses ours.

What is given by address needs none of them either, save Temporal's own (`TEMPORAL_*`) for a Temporal that is given, and
what reaches the network beyond this machine: proxies, and which authorities are trusted.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

_POSTGRESQL = ("PG",)
"""Read by PostgreSQL's own programs; Skyhold reads addresses alone."""

_TEMPORAL = ("TEMPORAL_",)
"""Read by Temporal's client and its server."""

_KEPT_TEMPORAL = frozenset({"TEMPORAL_NAMESPACE", "TEMPORAL_TASK_QUEUE"})
"""What is said of ours by them, too."""

_NETWORK = frozenset(
    {
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "GRPC_PROXY"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"),
    }
)
"""Of no use on loopback; case does not matter."""

_MACHINERY = ("LD_LIBRARY_PATH", "GODEBUG", "OTEL_", "OPENSSL_CONF")
"""Would have a server load other libraries than its own, or report to other places."""


_OF_ANYONE = {"USER": "skyhold", "HOME": "/"}
"""Where a user id has no passwd entry and the shell does not say either, Temporal would not start without these."""


def environment_of_servers(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a server of ours sees of a shell: nothing that would turn it from how it is configured here."""
    foreign = (*_POSTGRESQL, *_TEMPORAL, *_MACHINERY)
    return _OF_ANYONE | {
        name: value
        for name, value in environment.items()
        if value and not name.startswith(foreign) and name.upper() not in _NETWORK
    }


def environment_of_clients(
    environment: Mapping[str, str], *, is_temporal_ours: bool, are_all_ours: bool
) -> dict[str, str]:
    """Return what a process that uses our servers sees of a shell.

    A profile of Temporal's in the user's home would bring a key and TLS for another server, so ours has none.
    """
    kept = {
        name: value
        for name, value in environment.items()
        if not name.startswith(_POSTGRESQL) and not (are_all_ours and name.upper() in _NETWORK)
    }
    if not is_temporal_ours:
        return kept
    ours = {name: value for name, value in kept.items() if not name.startswith(_TEMPORAL) or name in _KEPT_TEMPORAL}
    return ours | {"TEMPORAL_CONFIG_FILE": os.devnull}
