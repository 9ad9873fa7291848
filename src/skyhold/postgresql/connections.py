"""Connections to PostgreSQL by its address only: the driver gets every parameter, so that it reads no other source.

It would read PGPASSWORD, PGSSLMODE and a dozen other variables, `~/.pgpass` and certificates in the user's home: all of
them are meant for other servers.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

import asyncpg

from skyhold.addresses.postgresql import DatabaseAddress
from skyhold.addresses.urls import BadAddressError


async def connect(
    url: str, *, server_settings: Mapping[str, str] | None = None, **options: Any
) -> asyncpg.Connection[asyncpg.Record]:
    """Open a connection as the driver's own function does, with its options.

    The address takes precedence for the application's name and the time to connect.

    Raises:
        BadAddressError: the address is invalid.
        OSError: no server was reached, or a file that the address names is missing.
        asyncpg.PostgresError: the server refused.
    """
    address = DatabaseAddress.parse(url)
    options = address.arguments() | options | ({"timeout": address.timeout} if address.timeout else {})
    name = {key: value for key, value in address.settings.items() if key == "application_name"}
    options["server_settings"] = {**address.settings, **(server_settings or {}), **name}
    refusal: Exception | None = None
    try:
        for tls in address.tls():
            try:
                return await asyncpg.connect(ssl=tls or False, **options)
            except (OSError, asyncpg.InvalidAuthorizationSpecificationError) as error:
                if not _may_be_the_way(error, is_one=len(address.hosts) == 1):
                    raise
                refusal = error
    except BadAddressError as error:
        raise ConnectionError(str(error)) from None
    raise refusal or ConnectionError("no way to connect")


def _may_be_the_way(error: Exception, *, is_one: bool) -> bool:
    """Return whether a retry with or without TLS may succeed; with several servers `error` is only the last one's."""
    never = (TimeoutError, asyncpg.InvalidPasswordError)
    not_there = (ConnectionRefusedError, FileNotFoundError, socket.gaierror) if is_one else ()
    return not isinstance(error, (*never, *not_there))
