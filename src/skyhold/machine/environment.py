"""Filtering of environment variables that are meant for other servers, for everything that starts or uses our own.

A server that is used by address needs none of them either, except Temporal's own (`TEMPORAL_*`) for such a Temporal,
and those for the network beyond this machine: proxies and trusted authorities.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

_POSTGRESQL = ("PG",)
"""Prefix of variables that PostgreSQL's own programs read; Skyhold reads addresses only."""

_TEMPORAL = ("TEMPORAL_",)
"""Prefix of variables that Temporal's client and its server read."""

_KEPT_TEMPORAL = frozenset({"TEMPORAL_NAMESPACE", "TEMPORAL_TASK_QUEUE"})
"""Those of them that also apply to our own Temporal."""

_NETWORK = frozenset(
    {
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "GRPC_PROXY"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"),
    }
)
"""Useless on loopback; case does not matter."""

_MACHINERY = ("LD_LIBRARY_PATH", "GODEBUG", "OTEL_", "OPENSSL_CONF")
"""Would make a server load other libraries than its own, or send telemetry elsewhere."""


_OF_ANYONE = {"USER": "skyhold", "HOME": "/"}
"""Defaults without which Temporal does not start if the user id has no passwd entry and the shell sets neither."""


def environment_of_servers(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for our own servers: without variables that would change their configuration."""
    foreign = (*_POSTGRESQL, *_TEMPORAL, *_MACHINERY)
    return _OF_ANYONE | {
        name: value
        for name, value in environment.items()
        if value and not name.startswith(foreign) and name.upper() not in _NETWORK
    }


def environment_of_clients(
    environment: Mapping[str, str], *, is_temporal_ours: bool, are_all_ours: bool
) -> dict[str, str]:
    """Return the environment for a process that uses our servers.

    A Temporal profile in the user's home would set a key and TLS for another server, so it is disabled for our own.
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
