"""Sessions of PostgreSQL: one way to open them for all of Skyhold, with settings that the code relies on.

A session sets them itself, since a database, a role or a pooler may have other defaults, and reads them back once: a
session with other settings is refused before it can break a promise. Values are sent in binary, so the styles of dates,
intervals and bytes do not matter; settings that only affect speed (JIT, plans, memory) are left to the administrator.
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

# The classes are generic for the type checker only.
Row: TypeAlias = "asyncpg.Record"
Host: TypeAlias = tuple[str, int]
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

CONNECT_SECONDS = 3.0
CONNECT_SECONDS_EACH = 1.0
"""For one of several servers: one that does not answer must not use up the time of the others."""

SILENCE_SECONDS = 5.0
"""Time for which a server that did not answer is tried last, after all others of the address."""

COMMAND_SECONDS = 6.0
"""A little more than `statement_timeout`, so that normally the server ends a statement."""

OLDEST_VERSION = 15

_FIRST_WITH_TRANSACTION_TIMEOUT = 17

SETTINGS: Mapping[str, str] = {
    # Isolation and access: the ledger's rules read again after they waited for a lock.
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    # An answered command must survive a crash of the server.
    "synchronous_commit": "on",
    # A stopped or lost process holds no lock for longer (docs/rules.md#postgresql). Idle sessions of the pool may stay.
    "lock_timeout": "4s",
    "statement_timeout": "5s",
    "idle_in_transaction_session_timeout": "5s",
    "idle_session_timeout": "0",
    "TimeZone": "UTC",
    # A row security policy on one of our tables raises an error instead of silently hiding rows.
    "row_security": "off",
}
"""The settings of every session, besides `search_path`; written as PostgreSQL shows them."""

MIGRATION_SETTINGS: Mapping[str, str] = {"lock_timeout": "0", "statement_timeout": "0"} | {
    "idle_in_transaction_session_timeout": "0"
}
"""A migration has no time limit; its caller limits the wait for locks."""

# Some settings are only read: session_replication_role needs a superuser, transaction_timeout is from PostgreSQL 17.
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
        PostgresUnavailable: no session could be opened, or it does not have its settings.
    """
    return (await Sessions(url, application=application, settings=settings).open()).connection


@dataclass(frozen=True)
class Session:
    """A connection with checked settings; `is_read_only` if its server does not accept writes."""

    connection: asyncpg.Connection[asyncpg.Record]
    is_read_only: bool


class Sessions:
    """Opens sessions at one address; of several servers it uses the one that writes and tries failed ones last."""

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
        # If the address names no host, the default hosts are those of one server.
        is_one = len(address.hosts) == 1 or tuple(host for host, _ in address.hosts) == DEFAULT_HOSTS
        self._hosts: list[Host | None] = [None] if is_one else [*address.hosts]
        if not is_one and address.target is None:
            self._options["target_session_attrs"] = "read-write"
        self._silent_until: dict[Host | None, float] = {}

    async def open(self) -> Session:
        """Open a session.

        Raises:
            PostgresUnavailable: no session could be opened, or it does not have its settings.
        """
        connection = await self._connect()
        try:
            return await self._settled(connection)
        except (PostgresMisconfigured, PostgresSilent):
            raise
        except PostgresUnavailable:
            if connection.get_server_version().major < _FIRST_WITH_TRANSACTION_TIMEOUT:
                raise
        # A default transaction_timeout may end a transaction before it can be reset, with varying errors. Servers that
        # do not know the setting refuse it, so it is not sent to every server.
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
        """Return a connection to the server that writes; while there is none, to one that only reads, for readers."""
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
        """Check the session's own values of its settings; return whether it only reads.

        Raises:
            PostgresMisconfigured: a setting has another value, or the server cannot be used.
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
