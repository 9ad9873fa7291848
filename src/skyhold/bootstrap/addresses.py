"""The addresses of servers, as settings give them: there, of a kind that can be meant, and told without passwords."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from skyhold.settings import BadSettingError

DATABASE_SCHEMES = frozenset({"postgresql", "postgres"})
REDIS_SCHEMES = frozenset({"redis", "rediss", "unix"})

_HOST_AND_PORT = re.compile(r"(?:[^\s:/?#@\[\]]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")
_LAST_PORT = 65_535

_WANTED = {"SECRET_KEY": "32 or more characters made by chance, the same to every API process"}


class MissingSettingError(Exception):
    """A setting that has no default is not set; the message names it."""


def require(value: str | None, name: str) -> str:
    """Return the value of a setting that has no default.

    Raises:
        MissingSettingError: it is not set.
    """
    if not value:
        raise MissingSettingError(
            f"{name} is not set: give {_WANTED.get(name, 'the address of the server')}, "
            "or start everything with `skyhold up`"
        )
    return value


def require_url(value: str | None, name: str, schemes: frozenset[str]) -> str:
    """Return the address of a server, of one of these schemes.

    Raises:
        MissingSettingError: it is not set.
        BadSettingError: it is no such URL. The value itself is not repeated: it may hold a password.
    """
    url = require(value, name)
    if url.partition("://")[0] not in schemes:
        begins = " or ".join(f"{scheme}://" for scheme in sorted(schemes))
        raise BadSettingError(f"{name}: must be a URL that begins with {begins}")
    return url


def require_host_and_port(value: str | None, name: str) -> str:
    """Return the address of a server that is named by host and port alone.

    Raises:
        MissingSettingError: it is not set.
        BadSettingError: it is no such address.
    """
    address = require(value, name)
    match = _HOST_AND_PORT.fullmatch(address)
    if match is None or not 0 < int(match["port"]) <= _LAST_PORT:
        raise BadSettingError(f"{name}: must be host:port, such as localhost:7233")
    return address


def bare_address(url: str) -> str:
    """Return where a URL points to, without user, password and options."""
    parts = urlsplit(url)
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}"
