"""Sessions of PostgreSQL: one way to open them for everything that Skyhold does, and what each of them is sure of.

A session sets what the code stands on, since a database, a role or a pooler may have other defaults, and reads it back
once: one that is not as it was asked for is refused before it can break a promise. Values travel in binary, so the
styles of dates, intervals and bytes have no say; what only costs time (JIT, plans, memory) is the administrator's.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from skyhold.addresses.postgresql import DEFAULT_HOSTS, DatabaseAddress
from skyhold.postgresql.addresses import is_schema_named, quoted, schema_of
from skyhold.postgresql.connections import connect
from skyhold.postgresql.errors import (
    OWN_ADDRESS,
    PostgresMisconfigured,
    PostgresReadOnly,
    PostgresSilent,
    PostgresUnavailable,
    one_line,
    refused_session,
)

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

# The classes are generic for the type checker alone.
Row: TypeAlias = "asyncpg.Record"
Host: TypeAlias = tuple[str, int]
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

CONNECT_SECONDS = 3.0
CONNECT_SECONDS_EACH = 1.0
"""For one of several servers: one that is gone without a word must not use up the time of the others."""

SILENCE_SECONDS = 5.0
"""How long one of several servers that did not answer is asked only if no other answers."""

COMMAND_SECONDS = 6.0
"""A little more than `statement_timeout`, so that the server is the one that ends a statement."""

OLDEST_VERSION = 15

_FIRST_WITH_TRANSACTION_TIMEOUT = 17

SETTINGS: Mapping[str, str] = {
    # What a transaction sees and may do: the ledger's rules read again after they waited for a lock.
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    # What was answered must not be lost by a crash of the server.
    "synchronous_commit": "on",
    # A stopped or lost process holds nothing for longer (docs/rules.md#postgresql). Idle sessions of the pool may rest.
    "lock_timeout": "4s",
    "statement_timeout": "5s",
    "idle_in_transaction_session_timeout": "5s",
    "idle_session_timeout": "0",
    "TimeZone": "UTC",
    # A policy on one of our tables is an error, and never rows that are silently not there.
    "row_security": "off",
}
"""The settings of every session, beside `search_path`; written as PostgreSQL shows them."""

MIGRATION_SETTINGS: Mapping[str, str] = {"lock_timeout": "0", "statement_timeout": "0"} | {
    "idle_in_transaction_session_timeout": "0"
}
"""A migration may take as long as it takes; who runs it bounds what it waits for."""

# What can only be looked at: one needs a superuser, the other is younger than the oldest PostgreSQL that we know.
_READ_BACK = """
SELECT current_setting('server_version_num')::int AS version, current_setting('server_version') AS version_name,
       current_setting('session_replication_role') AS replication_role,
       current_setting('transaction_read_only') = 'on' AS is_read_only,
       coalesce(current_setting('transaction_timeout', true), '0') AS transaction_timeout,
       ARRAY(SELECT current_setting(name) FROM unnest($1::text[]) WITH ORDINALITY AS wanted (name, place)
             ORDER BY place) AS settings
"""


async def open_session(
    url: str, *, application: str, settings: Mapping[str, str] | None = None
) -> asyncpg.Connection[asyncpg.Record]:
    """Open one session; `settings` are those that differ from every session's.

    Raises:
        PostgresUnavailable: there is none to be had, or it is not as it was asked for.
    """
    return (await Sessions(url, application=application, settings=settings).open()).connection


@dataclass(frozen=True)
class Session:
    """A connection as it was asked for; `is_read_only` if it leads to a server that does not write."""

    connection: asyncpg.Connection[asyncpg.Record]
    is_read_only: bool


class Sessions:
    """Opens sessions at one address; of several servers the one that writes, and the last that did is asked first."""

    def __init__(self, url: str, *, application: str, settings: Mapping[str, str] | None = None) -> None:
        address = DatabaseAddress.parse(url)
        options = address.settings.get("options", "")
        self.schema, self.is_schema_named = schema_of(options), is_schema_named(options)
        self._url = url
        self._settings = {**SETTINGS, **(settings or {}), "search_path": quoted(self.schema)}
        self._options: dict[str, Any] = {
            "server_settings": self._settings | {"application_name": application},
            "command_timeout": COMMAND_SECONDS if self._settings["statement_timeout"] != "0" else None,
        }
        # Where the address names no host, its places are those of one server.
        is_one = len(address.hosts) == 1 or tuple(host for host, _ in address.hosts) == DEFAULT_HOSTS
        self._hosts: list[Host | None] = [None] if is_one else [*address.hosts]
        if not is_one and address.target is None:
            self._options["target_session_attrs"] = "read-write"
        self._silent_until: dict[Host | None, float] = {}

    async def open(self) -> Session:
        """Open a session.

        Raises:
            PostgresUnavailable: there is none to be had, or it is not as it was asked for.
        """
        connection = await self._connect()
        try:
            return await self._settled(connection)
        except (PostgresMisconfigured, PostgresSilent):
            raise
        except PostgresUnavailable:
            if connection.get_server_version().major < _FIRST_WITH_TRANSACTION_TIMEOUT:
                raise
        # A default may end transactions before one can set it aside, and how that looks from here varies. Servers that
        # do not know the setting refuse it, so it is not sent to each.
        settings = self._options["server_settings"] | {"transaction_timeout": "0"}
        return await self._settled(await self._connect(server_settings=settings))

    async def _settled(self, connection: asyncpg.Connection[asyncpg.Record]) -> Session:
        """Return the connection as a session, or close it."""
        try:
            is_read_only = await self._require_settings(connection)
            await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
        except BaseException as error:
            connection.terminate()
            if isinstance(error, Exception) and (why := refused_session(error)):
                raise why from error
            raise
        return Session(connection, is_read_only=is_read_only)

    async def _connect(self, **more: Any) -> asyncpg.Connection[asyncpg.Record]:
        """Return a connection to the server that writes; while none does, to one that reads, for the readers."""
        last = PostgresUnavailable("its address names no server")
        readers: list[Host | None] = []
        for host in self._in_order():
            if readers and self._is_silent(host):
                continue
            try:
                return await self._connect_to(host, **more)
            except PostgresUnavailable as why:
                last = why
                self._ask_last(host, is_silent=isinstance(why, PostgresSilent))
                if isinstance(why, PostgresReadOnly):
                    readers.append(host)
            except BaseException:
                self._ask_last(host, is_silent=True)  # the caller did not wait for its answer
                raise
        for host in readers:
            return await self._connect_to(host, target_session_attrs="any", **more)
        raise last

    def _in_order(self) -> list[Host | None]:
        return sorted(self._hosts, key=self._is_silent)

    def _is_silent(self, host: Host | None) -> bool:
        return asyncio.get_running_loop().time() < self._silent_until.get(host, -math.inf)

    def _ask_last(self, host: Host | None, *, is_silent: bool) -> None:
        self._hosts.remove(host)
        self._hosts.append(host)
        if is_silent:
            self._silent_until[host] = asyncio.get_running_loop().time() + SILENCE_SECONDS

    async def _connect_to(self, host: Host | None, **more: Any) -> asyncpg.Connection[asyncpg.Record]:
        if host is not None:
            more |= {"host": [host[0]], "port": [host[1]]}
        seconds = CONNECT_SECONDS_EACH if host else CONNECT_SECONDS
        try:
            return await connect(self._url, timeout=seconds, **(self._options | more))
        except Exception as error:
            if why := refused_session(error):
                raise why from error
            raise

    async def _require_settings(self, connection: asyncpg.Connection[asyncpg.Record]) -> bool:
        """See that the session is as it was asked for, by what it says itself; return whether it only reads.

        Raises:
            PostgresMisconfigured: it is not.
        """
        row = await connection.fetchrow(_READ_BACK, list(self._settings))
        if row is None:
            raise LookupError("a session has no settings")
        if row["version"] < OLDEST_VERSION * 10_000:
            words = f"it is PostgreSQL {row['version_name']}"
            raise PostgresMisconfigured(words, f"Skyhold needs PostgreSQL {OLDEST_VERSION} or newer.")
        for (name, wanted), found in zip(self._settings.items(), row["settings"], strict=True):
            if found != wanted:
                words = f"it does not keep the settings of a session ({name} is {found}, not {wanted})"
                raise PostgresMisconfigured(one_line(words), OWN_ADDRESS)
        if row["replication_role"] != "origin":
            words = f"session_replication_role is {row['replication_role']}, so no trigger guards the ledger"
            raise PostgresMisconfigured(words, "ALTER ROLE … RESET session_replication_role, for the database too.")
        if row["transaction_timeout"] != "0":
            await connection.execute("SET transaction_timeout = 0")
        return bool(row["is_read_only"])
