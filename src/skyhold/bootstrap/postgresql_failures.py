"""What a probe says of a PostgreSQL that does not do its work: standard sentences in public, details for operators."""

from __future__ import annotations

from collections.abc import Mapping

from skyhold.postgresql.errors import (
    PostgresDiskFull,
    PostgresForbidden,
    PostgresMisconfigured,
    PostgresReadOnly,
    PostgresSilent,
    PostgresUnavailable,
)
from skyhold.web.readiness import ProbeFailure

_REASONS: Mapping[type[PostgresUnavailable], str] = {
    PostgresForbidden: "a right is missing",
    PostgresMisconfigured: "it is not set up for Skyhold, or refuses the role",
    PostgresReadOnly: "it only reads; commands are refused",
    PostgresDiskFull: "it has no room to write",
    PostgresSilent: "no answer in time",
}

_REMEDIES: Mapping[type[PostgresUnavailable], str] = {
    PostgresReadOnly: "Promote this server, or give DATABASE_URL the address of the one that writes.",
    PostgresDiskFull: "Make room on the disk of PostgreSQL.",
}

_WAIT = "Wait until PostgreSQL accepts connections; its log says what it is doing."

_ANSWERS: Mapping[str, tuple[str, str]] = {
    "53300": (
        "it has no connection left",
        "Raise max_connections of PostgreSQL or the role's CONNECTION LIMIT, or run fewer processes.",
    ),
    "53200": ("it is out of memory", "Give PostgreSQL more memory, or lower what its sessions may use."),
    "53400": ("a limit of its configuration is reached", "Raise the limit that PostgreSQL's log names."),
    "57P01": ("it is shutting down or restarting", _WAIT),
    "57P02": ("it is shutting down or restarting", _WAIT),
    "57P03": ("it accepts no connections yet", _WAIT),
    "58": ("its machine reports an error", "Look into PostgreSQL's log."),
}
"""By SQLSTATE or its class, for a server that answered: the reason, and the remedy."""


def postgresql_failure(why: PostgresUnavailable, *, is_partial: bool = False) -> ProbeFailure:
    """Return what a probe says of this error; words of PostgreSQL are for the operator alone: they may name roles."""
    reason, remedy = _REASONS.get(type(why), "no answer"), _REMEDIES.get(type(why))
    if isinstance(why, PostgresMisconfigured):
        return ProbeFailure(reason, why.words, why.remedy, is_partial=is_partial, is_misconfigured=True)
    if is_partial and isinstance(why, PostgresSilent):
        reason = "it reads, but a write has no answer in time"
    elif type(why) is PostgresUnavailable and why.state:
        reason, remedy = _ANSWERS.get(why.state) or _ANSWERS.get(why.state[:2]) or (reason, None)
    return ProbeFailure(reason, why.words, remedy, is_partial=is_partial)
