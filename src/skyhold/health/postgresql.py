"""Probes of PostgreSQL: reads, writes and the schema; standard sentences in public, details for operators."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from skyhold.health.verdict import Probe, ProbeFailure
from skyhold.postgresql.errors import (
    PostgresDiskFull,
    PostgresForbidden,
    PostgresMisconfigured,
    PostgresReadOnly,
    PostgresSilent,
    PostgresUnavailable,
)
from skyhold.postgresql.pools import Pool
from skyhold.queries.schemas import LedgerSchema, SchemaQueries
from skyhold.queries.servers import ServerQueries
from skyhold.stores import schema
from skyhold.stores.write_probes import PostgresWriteProbe

WRITE_SECONDS = 1.2
"""Time limit of the write, shorter than that of the whole probe, so that the result of the read is not lost."""

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

_WAIT = "Wait until PostgreSQL accepts connections; its log shows the progress."

_ANSWERS: Mapping[str, tuple[str, str]] = {
    "53300": (
        "it has no connection left",
        "Raise max_connections of PostgreSQL or the role's CONNECTION LIMIT, or run fewer processes.",
    ),
    "53200": ("it is out of memory", "Give PostgreSQL more memory, or lower the limits of its sessions."),
    "53400": ("a limit of its configuration is reached", "Raise the limit that PostgreSQL's log names."),
    "57P01": ("it is shutting down or restarting", _WAIT),
    "57P02": ("it is shutting down or restarting", _WAIT),
    "57P03": ("it accepts no connections yet", _WAIT),
    "58": ("its machine reports an error", "Look into PostgreSQL's log."),
}
"""By SQLSTATE or its class, for a server that answered: the reason, and the remedy."""


def postgresql_failure(why: PostgresUnavailable, *, is_partial: bool = False) -> ProbeFailure:
    """Return the result of a probe for this error; PostgreSQL's words are for operators only: they may name roles."""
    reason, remedy = _REASONS.get(type(why), "no answer"), _REMEDIES.get(type(why))
    if isinstance(why, PostgresMisconfigured):
        return ProbeFailure(reason, why.words, why.remedy, is_partial=is_partial, is_misconfigured=True)
    if is_partial and isinstance(why, PostgresSilent):
        reason = "it reads, but a write has no answer in time"
    elif type(why) is PostgresUnavailable and why.state:
        reason, remedy = _ANSWERS.get(why.state) or _ANSWERS.get(why.state[:2]) or (reason, None)
    return ProbeFailure(reason, why.words, remedy, is_partial=is_partial)


def postgresql_probe(pool: Pool, servers: ServerQueries) -> Probe:
    """Return the probe of PostgreSQL's reads and writes."""
    write_probe = PostgresWriteProbe(pool)

    async def write() -> PostgresUnavailable | None:
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await write_probe.write()
        except TimeoutError:
            return PostgresSilent()
        except PostgresUnavailable as why:
            return why
        refused = pool.refused_write()
        return None if isinstance(refused, PostgresReadOnly) else refused

    async def probe_postgresql() -> ProbeFailure | None:
        refusal, read = await asyncio.gather(write(), servers.server_version(), return_exceptions=True)
        if isinstance(read, PostgresUnavailable):
            return postgresql_failure(read)
        for result in (read, refusal):
            if isinstance(result, BaseException) and not isinstance(result, PostgresUnavailable):
                raise result
        return postgresql_failure(refusal, is_partial=True) if isinstance(refusal, PostgresUnavailable) else None

    return probe_postgresql


def outdated_schema(found: LedgerSchema) -> str | None:
    """Return the reason why the ledger is not at the version that this release needs; None if it is."""
    newest = schema.newest_version()
    if found.version == newest:
        return None
    if found.version is not None and found.version not in schema.versions():
        return f"is at version {found.version}, newer than this release needs, which is {newest}"
    return f"is at version {found.version or 'none'}, needed is {newest}: run `skyhold migrate`"


def schema_probe(pool: Pool) -> Probe:
    """Return the probe of the ledger's schema: it is ours, at the needed version, and the role has all rights."""

    async def probe_schema() -> ProbeFailure | str | None:
        try:
            found = await SchemaQueries(pool).find()
        except PostgresUnavailable as why:
            return postgresql_failure(why)
        try:
            found.require_ours(is_named=pool.is_schema_named)
        except PostgresMisconfigured as why:
            # These words are Skyhold's own, so they may be public: they name schemas and tables.
            return ProbeFailure(why.words, remedy=why.remedy, is_misconfigured=True)
        if outdated := outdated_schema(found):
            return outdated
        try:
            found.require_rights()
        except PostgresForbidden as why:
            reason = f"a right is missing: {', '.join(found.missing_rights)}"
            return ProbeFailure(reason, why.words, why.remedy, is_partial=found.may_read, is_misconfigured=True)
        return None

    return probe_schema
